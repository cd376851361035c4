"""The role that ranks items for user events.

handler    events to lists
intake     items of the catalogue's topic, embedded beside the events
pieces     the state as records of `state.<app>`
writing    the state written down while events go on
taking_up  the state from what stands in the topics
"""
