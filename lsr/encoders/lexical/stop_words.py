"""Stop words: words of a language that are in nearly every text and say nothing about its subject.

English has Lucene's list. The others are by one rule: a language's articles, its commonest prepositions, conjunctions
and pronouns, negation, and the present and past of "to be" and "to have", and of those only forms that are no content
word too. A language without a list here has none; any list can be given in place of these.
"""

from __future__ import annotations

from collections.abc import Mapping

_LISTS = {
    "english": """
        a an and are as at be but by for if in into is it no not of on or such
        that the their then there these they this to was will with
    """,
    "catalan": """
        a al als amb com d de del dels des el els en es és i la les li lo més ni no o per perquè però pel pels que qui
        s se si són un una uns unes era ha han
    """,
    "danish": """
        af at da de dem den der deres det du eller en er et for fra han har hun i ikke jeg kan man med men mig min om og
        også op os på sig sin som til ud var vi ved
    """,
    "dutch": """
        aan als bij dan dat de den der deze die dit door een en er had haar heeft het hij ik in is je maar met naar niet
        of om onder ook op over te tot uit van voor was we wij ze zij zijn zo
    """,
    "finnish": """
        ei eivät en että ha he hän ja jos joka jotka kun me mutta myös ne niin nyt oli olivat on ovat se sekä tai tämä
        vai
    """,
    "french": """
        a au aux avec ce ces cette dans de des du elle elles en est et eux il ils je la le les leur leurs lui ma mais me
        mes n ne nos notre nous on ont ou par pas plus pour qu que qui sa sans se ses son sont sur ta te tes tu un une
        vos votre vous y à était été
    """,
    "german": """
        aber als am an auch auf aus bei bin bis da dem den der des die du durch ein eine einem einen einer eines er es
        für hat hatte ich ihr im in ist ja mit nach nicht noch nur ob oder sein sich sie sind so über um und uns unter
        vom von vor war waren was wenn wie wir wird zu zum zur
    """,
    "hungarian": """
        a az azt csak de egy el ez ezt és hogy ha is itt ki kell már meg mert mint nem s van volt vagy
    """,
    "indonesian": """
        ada adalah akan dalam dan dari dengan di ia ini itu juga ke kepada oleh pada sebagai tidak untuk yang
    """,
    "italian": """
        a ad ai al alla alle agli anche che chi ci come con d da dai dal dalla dei del della delle degli di e ed era gli
        ha hanno i il in io l la le lo ma mi ne nei nel nella nelle non o per più se si sono su sua sue sui sul sulla
        suo tra un una uno è
    """,
    "norwegian": """
        av at da de dem den der deres det du eller en er et for fra han har hun i ikke jeg kan man med men meg min om og
        også opp oss på seg sin som til ut var vi ved
    """,
    "portuguese": """
        a ao aos as com como da das de do dos e ela ele eles em entre era es está eu foi há isso já lhe mais mas me na
        nas não no nos o os ou para pela pelas pelo pelos por que quem se sem ser seu seus sua suas são também te tem um
        uma à às é
    """,
    "romanian": """
        a ai al ale am are as au că ce cu de din el ea este eu fi în îl la le lui mai nu o pe pentru prin sa sau se si
        sunt și un una unei unui
    """,
    "russian": """
        а без бы был была были было быть в вы да для до его ее её если же за и из или им их к как ко когда мы на над не
        него нее неё нет но о об он она они оно от по под при с со так то только ты у уже чем что чтобы это я
    """,
    "spanish": """
        a al algo ante como con cual cuando de del desde donde e el ella ellas ellos en entre era es esa ese eso esta
        está este esto fue ha han hasta hay la las le les lo los más me mi muy ni no nos o para pero por porque que qué
        quien se ser si sí sin sobre son su sus también te tu u un una uno y ya yo
    """,
    "swedish": """
        att av de dem den denna det detta du där efter eller en ett för från han har hon hade i inte jag kan man med men
        mig min mot ni när och också om oss på sig sin som så till under upp ut var vi vid är
    """,
    "turkish": """
        ama bir bu da daha de değil gibi her için ile ise ki mi mu ne o ve veya ya çok şu
    """,
    "none": "",
}
STOP_WORDS: Mapping[str, frozenset[str]] = {language: frozenset(words.split()) for language, words in _LISTS.items()}
ENGLISH_STOP_WORDS = STOP_WORDS["english"]
