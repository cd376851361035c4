"""English words that name nothing: articles, pronouns, prepositions, auxiliaries, words of courtesy.

For other languages the texts themselves say which words are common (streams/monitor/episodes/naming.py).
"""

from typing import Final

_WORDS = """
a about above across actually after again against ago all almost along already also although always am among an and
another any anybody anyone anything anyway anywhere are aren't around as ask asked asking at away back be became
because become been before behind being below besides between both but by came can can't cannot come comes coming
could couldn't did didn't do does doesn't doing don't done down due during each either else enough etc even ever every
everybody everyone everything everywhere exactly few first for from further gave get gets getting give given gives
giving go goes going gone got gotten had hadn't has hasn't have haven't having he he'd he'll he's hello hence her here
here's hers herself hey hi him himself his how how's however i i'd i'll i'm i've if im in indeed instead into is isn't
it it'd it'll it's its itself ive just keep kept know known knows last least less let let's lets like likely little
look looking lot lots made make makes making many may maybe me mean means might mine more moreover most much must my
myself near need needed needs neither never nevertheless next no nobody none nor not nothing now of off often oh ok
okay on once one only onto or other others otherwise ought our ours ourselves out over own per perhaps please put
quite rather really regarding right said same saw say saying says see seem seemed seems seen several shall she she'd
she'll she's should shouldn't show since so some somebody somehow someone something sometimes somewhere soon still
such sure take taken takes taking tell than thank thanks that that's thats the their theirs them themselves then there
there's therefore these they they'd they'll they're they've thing things think this those though through thus till to
together told too took toward towards tried tries try trying two under unless until up upon us use used uses using
usually very via want wanted wants was wasn't way we we'd we'll we're we've well went were weren't what what's
whatever when when's whenever where where's whereas wherever whether which whichever while who who's whoever whole
whom whose why why's will with within without won't would wouldn't yes yet you you'd you'll you're you've your yours
yourself yourselves anymore able actually dear best regards sincerely kindly today tomorrow yesterday day days time
times new old good bad great
"""
STOP_WORDS: Final = frozenset(_WORDS.split())
