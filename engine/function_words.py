"""Function words: articles, prepositions, pronouns and the like, which say nothing of what is sought.

The lists are Snowball's (BSD), as NLTK has them, in the form of `engine.words`. A text's language is taken to
be the one with most function words in it, of equal ones the first here: "die" is an article in German only.

Weak words say little: verbs by which a query asks for speech ("someone mentions the harbour"). The lists are
this project's own.
"""

from collections.abc import Collection

_LISTS = """
en: a about above after again against ain all am an and any are aren as at be because been before being below
between both but by can couldn d did didn do does doesn doing don down during each few for from further had
hadn has hasn have haven having he her here hers herself him himself his how i if in into is isn it its itself
just ll m ma me mightn more most mustn my myself needn no nor not now o of off on once only or other our ours
ourselves out over own re s same shan she should shouldn so some such t than that the their theirs them
themselves then there these they this those through to too under until up ve very was wasn we were weren what
when where which while who whom why will with won wouldn y you your yours yourself yourselves
de: aber alle allem allen aller alles als also am an ander andere anderem anderen anderer anderes anderm
andern anderr anders auch auf aus bei bin bis bist da damit dann das dass dasselbe dazu dein deine deinem
deinen deiner deines dem demselben den denn denselben der derer derselbe derselben des desselben dessen dich
die dies diese dieselbe dieselben diesem diesen dieser dieses dir doch dort du durch ein eine einem einen
einer eines einig einige einigem einigen einiger einiges einmal er es etwas euch euer eure eurem euren eurer
eures fur gegen gewesen hab habe haben hat hatte hatten hier hin hinter ich ihm ihn ihnen ihr ihre ihrem ihren
ihrer ihres im in indem ins ist jede jedem jeden jeder jedes jene jenem jenen jener jenes jetzt kann kein
keine keinem keinen keiner keines konnen konnte machen man manche manchem manchen mancher manches mein meine
meinem meinen meiner meines mich mir mit muss musste nach nicht nichts noch nun nur ob oder ohne sehr sein
seine seinem seinen seiner seines selbst sich sie sind so solche solchem solchen solcher solches soll sollte
sondern sonst uber um und uns unser unsere unserem unseren unseres unter viel vom von vor wahrend war waren
warst was weg weil weiter welche welchem welchen welcher welches wenn werde werden wie wieder will wir wird
wirst wo wollen wollte wurde wurden zu zum zur zwar zwischen
fr: a ai aie aient aies ait as au aura aurai auraient aurais aurait auras aurez auriez aurions aurons auront
aux avaient avais avait avec avez aviez avions avons ayant ayante ayantes ayants ayez ayons c ce ces d dans de
des du elle en es est et etaient etais etait etant etante etantes etants ete etee etees etes etiez etions eu
eue eues eumes eurent eus eusse eussent eusses eussiez eussions eut eutes eux fumes furent fus fusse fussent
fusses fussiez fussions fut futes il ils j je l la le les leur lui m ma mais me meme mes moi mon n ne nos
notre nous on ont ou par pas pour qu que qui s sa se sera serai seraient serais serait seras serez seriez
serions serons seront ses soient sois soit sommes son sont soyez soyons suis sur t ta te tes toi ton tu un une
vos votre vous y
es: a al algo algunas algunos ante antes como con contra cual cuando de del desde donde durante e el ella
ellas ellos en entre era erais eramos eran eras eres es esa esas ese eso esos esta estaba estabais estabamos
estaban estabas estad estada estadas estado estados estais estamos estan estando estar estara estaran estaras
estare estareis estaremos estaria estariais estariamos estarian estarias estas este esteis estemos esten estes
esto estos estoy estuve estuviera estuvierais estuvieramos estuvieran estuvieras estuvieron estuviese
estuvieseis estuviesemos estuviesen estuvieses estuvimos estuviste estuvisteis estuvo fue fuera fuerais
fueramos fueran fueras fueron fuese fueseis fuesemos fuesen fueses fui fuimos fuiste fuisteis ha habeis habia
habiais habiamos habian habias habida habidas habido habidos habiendo habra habran habras habre habreis
habremos habria habriais habriamos habrian habrias han has hasta hay haya hayais hayamos hayan hayas he hemos
hube hubiera hubierais hubieramos hubieran hubieras hubieron hubiese hubieseis hubiesemos hubiesen hubieses
hubimos hubiste hubisteis hubo la las le les lo los mas me mi mia mias mio mios mis mucho muchos muy nada ni
no nos nosotras nosotros nuestra nuestras nuestro nuestros o os otra otras otro otros para pero poco por
porque que quien quienes se sea seais seamos sean seas sentid sentida sentidas sentido sentidos sera seran
seras sere sereis seremos seria seriais seriamos serian serias si siente sin sintiendo sobre sois somos son
soy su sus suya suyas suyo suyos tambien tanto te tendra tendran tendras tendre tendreis tendremos tendria
tendriais tendriamos tendrian tendrias tened teneis tenemos tenga tengais tengamos tengan tengas tengo tenia
teniais teniamos tenian tenias tenida tenidas tenido tenidos teniendo ti tiene tienen tienes todo todos tu tus
tuve tuviera tuvierais tuvieramos tuvieran tuvieras tuvieron tuviese tuvieseis tuviesemos tuviesen tuvieses
tuvimos tuviste tuvisteis tuvo tuya tuyas tuyo tuyos un una uno unos vosotras vosotros vuestra vuestras
vuestro vuestros y ya yo
it: a abbia abbiamo abbiano abbiate ad agl agli ai al all alla alle allo anche avemmo avendo avesse avessero
avessi avessimo aveste avesti avete aveva avevamo avevano avevate avevi avevo avra avrai avranno avrebbe
avrebbero avrei avremmo avremo avreste avresti avrete avro avuta avute avuti avuto c che chi ci coi col come
con contro cui da dagl dagli dai dal dall dalla dalle dallo degl degli dei del dell della delle dello di dov
dove e ebbe ebbero ebbi ed era erano eravamo eravate eri ero essendo faccia facciamo facciano facciate faccio
facemmo facendo facesse facessero facessi facessimo faceste facesti faceva facevamo facevano facevate facevi
facevo fai fanno fara farai faranno farebbe farebbero farei faremmo faremo fareste faresti farete faro fece
fecero feci fosse fossero fossi fossimo foste fosti fu fui fummo furono gli ha hai hanno ho i il in io l la le
lei li lo loro lui ma mi mia mie miei mio ne negl negli nei nel nell nella nelle nello noi non nostra nostre
nostri nostro o per perche piu quale quanta quante quanti quanto quella quelle quelli quello questa queste
questi questo sara sarai saranno sarebbe sarebbero sarei saremmo saremo sareste saresti sarete saro se sei si
sia siamo siano siate siete sono sta stai stando stanno stara starai staranno starebbe starebbero starei
staremmo staremo stareste staresti starete staro stava stavamo stavano stavate stavi stavo stemmo stesse
stessero stessi stessimo steste stesti stette stettero stetti stia stiamo stiano stiate sto su sua sue sugl
sugli sui sul sull sulla sulle sullo suo suoi ti tra tu tua tue tuo tuoi tutti tutto un una uno vi voi vostra
vostre vostri vostro
pt: a ao aos aquela aquelas aquele aqueles aquilo as ate com como da das de dela delas dele deles depois do
dos e ela elas ele eles em entre era eram eramos essa essas esse esses esta estamos estao estar estas estava
estavam estavamos este esteja estejam estejamos estes esteve estive estivemos estiver estivera estiveram
estiveramos estiverem estivermos estivesse estivessem estivessemos estou eu foi fomos for fora foram foramos
forem formos fosse fossem fossemos fui ha haja hajam hajamos hao havemos haver hei houve houvemos houver
houvera houveram houveramos houverao houverei houverem houveremos houveria houveriam houveriamos houvermos
houvesse houvessem houvessemos isso isto ja lhe lhes mais mas me mesmo meu meus minha minhas muito na nao nas
nem no nos nossa nossas nosso nossos num numa o os ou para pela pelas pelo pelos por qual quando que quem sao
se seja sejam sejamos sem ser sera serao serei seremos seria seriam seriamos seu seus so somos sou sua suas
tambem te tem temos tenha tenham tenhamos tenho tera terao terei teremos teria teriam teriamos teu teus teve
tinha tinham tinhamos tive tivemos tiver tivera tiveram tiveramos tiverem tivermos tivesse tivessem tivessemos
tu tua tuas um uma voce voces vos
nl: aan al alles als altijd andere ben bij daar dan dat de der deze die dit doch doen door dus een eens en er
ge geen geweest haar had heb hebben heeft hem het hier hij hoe hun iemand iets ik in is ja je kan kon kunnen
maar me meer men met mij mijn moet na naar niet niets nog nu of om omdat onder ons ook op over reeds te tegen
toch toen tot u uit uw van veel voor want waren was wat werd wezen wie wil worden wordt zal ze zelf zich zij
zijn zo zonder zou
sv: alla allt an ar at att av blev bli blir blivit da dar de dem den denna deras dess dessa det detta dig din
dina ditt du efter ej eller en er era ert ett for fran ha hade han hans har henne hennes hon honom hur i icke
ingen inom inte jag ju kan kunde man med mellan men mig min mina mitt mot mycket nagon nagot nagra nar ni nu
och om oss over pa sa sadan sadana sadant samma sedan sig sin sina sitta sjalv skulle som till under upp ut
utan vad var vara varfor varit varje vars vart vem vi vid vilka vilkas vilken vilket
da: af alle alt anden at bade blev blevet blive bliver da de dem den denne der deres det dette dig din dine
dit dog du efter ej eller en end er et for fordi fra før ham han hans har havde have hende hendes her hun hvad
hvem hver hvilke hvilken hvilket hvis hvor hvordan hvorfor hvornar i ikke ind ingen intet ja jeg jo kan kom
kun kunne ma man maske med meget mellem men mig min mine mit mod nar ned nogen noget nogle nu og ogsa om op os
over pa sa sadan sadanne sadant samme selv selvom sig sin sine sit skal skulle som til ud uden under var ved
vi vil ville vor vores vort være været
no: a alle at av bade bae bare begge ble blei bli blir blitt da de deg dei deim deira deires dem den denne der
dere deres det dette di din disse ditt du dykk dykkar eg ein eit eitt eller elles en enn er et ett etter for
fordi fra før ha hadde han hans har hennar henne hennes her hja ho hoe honom hoss hossen hun hva hvem hver
hvilke hvilken hvis hvor hvordan hvorfor i ikke ikkje ingen ingi inkje inn inni ja jeg kan kom korleis korso
kun kunne kva kvar kvarhelst kven kvi kvifor man mange me med medan meg meget mellom men mi min mine mitt mot
mykje na nar ned no noe noen noka noko nokon nokor nokre og ogsa om opp oss over pa sa samme sann seg selv si
sia sidan siden sin sine sitt sjøl skal skulle slik so som somme somt til um upp ut uten var vart varte ved
vere verte vi vil ville vore vors vort være vært
ru: а без более больше будет будто бы был была были было быть в вам вас вдруг ведь во вот впрочем все всегда
всего всех всю вы где да даже два для до другои его ее еи ему если есть еще ж же за зачем здесь и из или им
иногда их к как какая какои когда конечно кто куда ли лучше между меня мне много может можно мои моя мы на над
надо наконец нас не него нее неи нельзя нет ни нибудь никогда ним них ничего но ну о об один он она они опять
от перед по под после потом потому почти при про раз разве с сам свою себе себя сеичас со совсем так такои там
тебя тем теперь то тогда того тоже только том тот три тут ты у уж уже хорошо хоть чего чем через что чтоб
чтобы чуть эти этого этои этом этот эту я
tr: acaba ama ancak artık aslında ayrıca az bana bazen bazı bazıları belki ben benden beni benim beri bile
biri birkac birsey biz bize bizi bizim boyle boylece bu buna bunda bundan bunlar bunlara bunlardan bunları
bunların bunu bunun burada cok cunku da daha dahi de defa degil diger diye dolayı dolayısıyla eger en fakat
gibi gore hakkında hala halde halen hangi hatta hem hemen henuz hep hepsi her herhangi herkes herkesin hic
hicbir hicbiri icin ile ilgili ise iste itibaren itibariyle kadar karsın kendi kendilerine kendini kendisi
kendisine kendisini kez ki kim kimden kime kimi kimler kimse lakin madem mi mu mı nasıl ne neden nedir nerde
nerede nereden nereye nicin niye o ona ondan onlar onlara onlardan onları onların onu onun oysa pek ragmen
sadece sanki sen senden seni senin sey siz sizden sizi sizin soyle su suna sunda sundan sunlar sunlara
sunlardan sunu sunun ta tarafından tum tumu uzere ve veya veyahut ya yani yerine yine yoksa zaten zira
"""


_WEAK = """
en: hear heard hearing hears mention mentioned mentioning mentions said say saying says speak speaking speaks
spoke spoken talk talked talking talks tell telling tells told
de: erwahnen erwahnt erwahnte erwahnten erzahlen erzahlt erzahlte erzahlten gehort gesagt gesprochen horen
hort horte horten redet reden redete redeten sagen sagt sagte sagten sprach sprachen sprechen spricht
fr: dire disait disent dit entend entendre entendu mentionne mentionner parlait parle parlent parler raconte
raconter
es: decir dice dicen dicho dijo habla hablan hablar hablo menciona mencionan mencionar oir oye
"""


def _languages(lists: str) -> dict[str, frozenset[str]]:
    """Return the words of each language, in the order of the lists."""
    found: dict[str, set[str]] = {}
    language = ""
    for word in lists.split():
        if word.endswith(":"):
            language = word[:-1]
            found[language] = set()
        else:
            found[language].add(word)
    return {language: frozenset(words) for language, words in found.items()}


_FUNCTION_WORDS, _WEAK_WORDS = _languages(_LISTS), _languages(_WEAK)


def function_words(words: Collection[str]) -> frozenset[str]:
    """Return which words of a text are function words of its language.

    >>> sorted(function_words(["where", "is", "the", "die"]))
    ['is', 'the', 'where']
    """
    asked = frozenset(words)
    return asked & _FUNCTION_WORDS[_language(asked)]


def weak_words(words: Collection[str]) -> frozenset[str]:
    """Return which words of a text are weak ones of its language.

    >>> sorted(weak_words(["he", "says", "that", "maria", "dice"]))
    ['says']
    """
    asked = frozenset(words)
    return asked & _WEAK_WORDS.get(_language(asked), frozenset())


def _language(asked: frozenset[str]) -> str:
    return max(_FUNCTION_WORDS, key=lambda language: len(asked & _FUNCTION_WORDS[language]))
