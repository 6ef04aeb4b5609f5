"""What lines mean without naming it: each theme's lines, and how it is asked for in other words."""

from typing import NamedTuple

Asked = tuple[str, str]


class Theme(NamedTuple):
    """A meaning, ways to say it, and statements that ask for it, each with its question.

    What is asked shares no word with what is said but those that mean nothing alone.
    """

    name: str
    lines: tuple[str, ...]
    asked: tuple[Asked, ...]


def _theme(block: str) -> Theme:
    name, *rows = block.strip().splitlines()
    statements = [row.split(" > ") for row in rows if " > " in row]
    asked = tuple((statement, question) for statement, question in statements)
    return Theme(name, tuple(row for row in rows if " > " not in row), asked)


# A name; what is said; statement > question.
_TABLE = """
rain
it has been pouring since breakfast
my umbrella is soaked through
someone complains about wet weather > where does someone complain about wet weather?
bad weather is mentioned > where is bad weather mentioned?

hunger
my stomach is growling
I have not eaten since yesterday
somebody wants some food > where does somebody want some food?
a person would like a meal > where would a person like a meal?

late
we missed the last train again
the others left an hour ago
people come too late > where do people come too late?
somebody is not on time > where is somebody not on time?

cold
my fingers are turning to ice
please shut the window, I am shivering
somebody freezes > where does somebody freeze?
low temperature bothers a person > where does low temperature bother a person?

sleep
I can barely keep my eyes open
she yawned through the whole meeting
someone needs a nap > where does someone need a nap?
a person longs for sleep > where does a person long for sleep?

broke
my wallet is empty until Friday
I cannot pay the rent this month
somebody has become poor > where has somebody become poor?
a person has no money left > where does a person have no money left?

birthday
blow out the candles and make a wish
you turn forty today, how does it feel
a birthday party is held > where is a birthday party held?
somebody grows a year older > where does somebody grow a year older?

illness
my nose is running and my throat hurts
the doctor told her to stay in bed
someone has fallen ill > where has someone fallen ill?
a patient catches the flu > where does a patient catch the flu?

wedding
the bride threw her flowers over the crowd
they promised to love each other forever
a couple gets married > where does a couple get married?
husband and wife celebrate > where do husband and wife celebrate?

lost
I have no idea which road leads home
this map makes no sense to me
somebody has lost the way > where has somebody lost the way?
a traveller cannot find the right direction > where can a traveller not find the right direction?

fire
smoke is coming out of the roof
call the brigade, everything is in flames
a house burns down > where does a house burn down?
a building is burning > where is a building burning?

theft
my bicycle was gone when I came back
he ran off with her purse
something has been stolen > where has something been stolen?
a thief takes someone's belongings > where does a thief take someone's belongings?

holiday
two weeks at the beach and no phone
we packed the suitcases and flew south
a family goes on vacation > where does a family go on vacation?
tourists travel abroad > where do tourists travel abroad?

job
I signed the contract and start on Monday
they offered me a position at the office
someone finds new work > where does someone find new work?
a company hires somebody > where does a company hire somebody?

quarrel
they shouted at each other all evening
she slammed the door and left him
a couple has an argument > where does a couple have an argument?
two lovers fight > where do two lovers fight?

secret
promise me you will tell nobody
this stays between the two of us
something must be kept secret > where must something be kept secret?
somebody asks for silence > where does somebody ask for silence?

dog
he barks at every postman
she wags her tail when I come home
someone owns a dog > where does someone own a dog?
a pet greets its owner > where does a pet greet its owner?

exam
only three pupils got full marks
he failed although he studied all night
an exam was difficult > where was an exam difficult?
students take a hard test > where do students take a hard test?

noise
turn that thing down, I cannot hear myself think
the drill next door starts at six
the noise is annoying > where is the noise annoying?
a neighbour complains about loud sounds > where does a neighbour complain about loud sounds?

death
we buried grandfather last spring
she will be missed at every Christmas
a relative has died > where has a relative died?
mourners remember a dead person > where do mourners remember a dead person?

baby
it is a girl and she weighs three kilos
the little one was born at midnight
parents have a new baby > where do parents have a new baby?
a child is delivered in hospital > where is a child delivered in hospital?

election
every vote has been counted tonight
the mayor got a hundred ballots more
a politician wins an election > where does a politician win an election?
citizens choose their leader > where do citizens choose their leader?

breakdown
the engine will not start any more
we have a flat tyre in the middle of nowhere
a car breaks down > where does a car break down?
a vehicle needs repair > where does a vehicle need repair?

storm
the waves are higher than the mast
captain, we are taking in water
a ship is caught in a storm > where is a ship caught in a storm?
sailors fear for their boat > where do sailors fear for their boat?

harvest
the apples are ripe, bring the ladder
we picked forty baskets of plums
fruit is harvested > where is fruit harvested?
farmers gather the crop > where do farmers gather the crop?

victory
the cup is ours at last
they scored in the final minute
a team wins the match > where does a team win the match?
players celebrate a triumph > where do players celebrate a triumph?

lie
not a word of that story is true
he made it all up
somebody is lying > where is somebody lying?
a person is dishonest > where is a person dishonest?

gift
I wrapped it in silver paper for you
untie the ribbon, it is from all of us
someone gets a present > where does someone get a present?
a surprise is handed over > where is a surprise handed over?
"""
# Every other one is said in train alone: what val and test say has never been heard.
THEMES = tuple(_theme(block) for block in _TABLE.strip().split("\n\n"))
