"""The role that ranks items for user events.

handler    events to lists
backlog    records of the catalogue's topic that wait to be heard
intake     items of the catalogue's topic, embedded beside the events
pieces     the state as records of `state.<app>`
writing    the state written down while events go on
taking_up  the state from what stands in the topics
"""
