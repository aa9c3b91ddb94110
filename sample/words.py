"""The vocabulary of the sample: countries, banks, name parts and phrases, all invented.

Pure data; nothing here is drawn at random.
"""

from dataclasses import dataclass

# The tables below are kept dense on purpose, one row per thing.
# fmt: off


@dataclass(frozen=True)
class Country:
    code: str
    weight: int
    currency: str
    language: str
    time_zone: str
    region: str
    cities: tuple[tuple[str, str, str], ...]
    streets: tuple[str, ...]
    legal_forms: tuple[str, ...]
    banks: tuple[tuple[str, str, str], ...]
    phone: str


COUNTRIES = (
    Country(
        "DE", 36, "EUR", "de", "Europe/Berlin", "DACH",
        (("Hamburg", "20457", "HH"), ("München", "80333", "BY"), ("Frankfurt am Main", "60311", "HE"),
         ("Köln", "50667", "NW"), ("Düsseldorf", "40213", "NW"), ("Stuttgart", "70173", "BW")),
        ("Hafenstraße", "Königsallee", "Lindenweg", "Börsenplatz", "Am Sandtorkai", "Schillerstraße"),
        ("GmbH", "AG", "GmbH & Co. KG", "Partnerschaft mbB", "SE"),
        (("Elbhandelsbank", "ELHADEH1XXX", "20190800"), ("Mainkredit AG", "MAKRDEF2XXX", "50190400"),
         ("Bankhaus Isar", "BHISDEM3XXX", "70190200")), "+49",
    ),
    Country(
        "FR", 13, "EUR", "fr", "Europe/Paris", "West",
        (("Paris", "75008", "IDF"), ("Lyon", "69002", "ARA"), ("Lille", "59000", "HDF"), ("Nantes", "44000", "PDL")),
        ("rue de la Bourse", "avenue Montaigne", "boulevard Haussmann", "quai des Chartrons"),
        ("SAS", "SARL", "SA", "SCP"),
        (("Crédit Rhodanien", "CRRHFRL1XXX", "30911"), ("Banque de l'Ouest", "BQOUFRN2XXX", "30957")), "+33",
    ),
    Country(
        "GB", 18, "GBP", "en", "Europe/London", "UK",
        (("London", "EC2V 7AN", "LND"), ("Manchester", "M2 5WA", "MAN"), ("Edinburgh", "EH2 2BY", "EDH"),
         ("Bristol", "BS1 4DJ", "BST")),
        ("Cheapside", "Gresham Street", "King William Street", "Castle Terrace", "Queen Square"),
        ("Ltd", "LLP", "PLC", "Limited"),
        (("Thames Clearing Bank", "THCLGB2LXXX", "THCL"), ("Caledonian Trust", "CATRGB2EXXX", "CATR")), "+44",
    ),
    Country(
        "US", 15, "USD", "en", "America/New_York", "Americas",
        (("New York", "10005", "NY"), ("Boston", "02110", "MA"), ("Wilmington", "19801", "DE"),
         ("Chicago", "60606", "IL")),
        ("Wall Street", "State Street", "Market Street", "Wacker Drive", "Federal Street"),
        ("LLC", "Inc.", "LP", "Corp."),
        (("First Harbor National", "FHNAUS33XXX", ""), ("Union Prairie Bank", "UNPRUS44XXX", "")), "+1",
    ),
    Country(
        "NL", 11, "EUR", "nl", "Europe/Amsterdam", "West",
        (("Amsterdam", "1017 CC", "NH"), ("Rotterdam", "3011 AA", "ZH"), ("Utrecht", "3511 LX", "UT")),
        ("Herengracht", "Coolsingel", "Maliebaan", "Keizersgracht"),
        ("B.V.", "N.V.", "Coöperatief U.A."),
        (("Amstelbank", "AMSTNL2AXXX", "AMST"), ("Maaskrediet", "MAASNL2RXXX", "MAAS")), "+31",
    ),
    Country(
        "CH", 7, "EUR", "de", "Europe/Zurich", "DACH",
        (("Zürich", "8001", "ZH"), ("Basel", "4051", "BS"), ("Zug", "6300", "ZG"), ("Genève", "1204", "GE")),
        ("Bahnhofstrasse", "Limmatquai", "Freie Strasse", "Baarerstrasse"),
        ("AG", "GmbH", "SA"),
        (("Limmat Privatbank", "LIPRCHZ1XXX", "08731"), ("Rheinknie Bank", "RHKNCHB2XXX", "08745")), "+41",
    ),
)

STEMS = (
    "Alderney", "Amberfield", "Arkwright", "Aurelius", "Bachmann", "Beaufort", "Belmonte", "Birkenau", "Blackthorn",
    "Boreal", "Brandwijk", "Caldera", "Carrick", "Castellan", "Cormoran", "Crownhill", "Delacour", "Dornbach",
    "Drakeford", "Dunmore", "Eichendorf", "Elderwood", "Ellington", "Fairholme", "Falkenberg", "Fenwick", "Feldmann",
    "Garnier", "Glenmore", "Goldbach", "Greystone", "Halloran", "Harcourt", "Hartmann", "Heidegger", "Hollander",
    "Ironbridge", "Isenberg", "Jansen", "Juniper", "Kaltenbach", "Keswick", "Kingsley", "Kronberg", "Lambert",
    "Langford", "Larkspur", "Lindqvist", "Lockhart", "Lorraine", "Marlowe", "Marchetti", "Mercator", "Meridian",
    "Montclair", "Müller", "Nachtigall", "Northgate", "Oakhurst", "Oberland", "Orchard", "Osterfeld", "Pemberton",
    "Pinnacle", "Quantum", "Quercus", "Ravensburg", "Redmayne", "Rheingold", "Rochefort", "Rosenthal", "Sable",
    "Sandhurst", "Schönfeld", "Silverton", "Southwark", "Sterling", "Tamarack", "Thornbury", "Tiergarten", "Trevelyan",
    "Ulmer", "Valmont", "Van der Meer", "Verdant", "Vogelsang", "Wagner", "Waterford", "Weissmann", "Westbrook",
    "Whitmore", "Windermere", "Wolfram", "Yarrow", "Zeller", "Zuidema",
)

# (word in the name, industry, segment)
TRADES = (
    ("Capital", "private_equity", "fund"), ("Partners", "advisory", "boutique"), ("Legal", "law", "law_firm"),
    ("Biotech", "life_sciences", "corporate"), ("Advisory", "advisory", "boutique"),
    ("Real Estate", "property", "corporate"),
    ("Ventures", "venture_capital", "fund"), ("Energy", "energy", "corporate"), ("Holdings", "holding", "corporate"),
    ("Therapeutics", "life_sciences", "corporate"), ("Infrastructure", "infrastructure", "fund"),
    ("Corporate Finance", "investment_banking", "bank"), ("Logistics", "transport", "corporate"),
    ("Chambers", "law", "law_firm"), ("Asset Management", "asset_management", "fund"),
    ("Software", "software", "corporate"),
)

PROJECTS = (
    "Falcon", "Aurora", "Granite", "Lighthouse", "Orion", "Saffron", "Tundra", "Velvet", "Cobalt", "Marigold",
    "Nimbus", "Obsidian", "Pelican", "Quarry", "Redwood", "Sequoia", "Topaz", "Umbra", "Vesper", "Willow",
)

GIVEN_NAMES = (
    "Anna", "Bernd", "Claire", "David", "Elise", "Femke", "Georg", "Hannah", "Isabelle", "James", "Katrin", "Liam",
    "Marieke", "Noah", "Olivia", "Pierre", "Ruth", "Sven", "Tessa", "Walter",
)
FAMILY_NAMES = (
    "Abel", "Bonnet", "Clarke", "De Vries", "Ebert", "Fournier", "Graham", "Huber", "Irving", "Jonker", "Keller",
    "Laurent", "Morris", "Neumann", "Ortega", "Peters", "Roth", "Smit", "Turner", "Vogel",
)

AGENTS = (
    "Payrail Services Ltd", "Treuhand Nord GmbH", "Comptoir de Paiement SA", "Clearwater Escrow LLC", "BV Betaalhuis",
    "Fiduciaire du Lac SA", "Global Vendor Pay Inc.", "Kanzlei Dr. Sommer Anderkonto",
    "Shared Services Krakow Sp. z o.o.",
)

SUPPLIERS = (
    "Kontorhaus Vermietung GmbH", "Nordstrom Rechenzentrum AG", "Stadtwerke Elbe", "Bürobedarf Petersen KG",
    "Cloudwerk Hosting GmbH", "Reisebüro Alster", "Druckerei Hansen", "Versicherungskontor Möller",
    "Finanzamt Hamburg-Nord", "Sicherheitstechnik Jansen",
)

# How a payer calls an invoice, by language.
INVOICE_WORDS = {
    "de": ("Rechnung", "RE", "Rg.-Nr.", "RECHNUNGSNR", "Rechn."),
    "fr": ("Facture", "FACT", "Fact. no", "REGLEMENT FACTURE"),
    "en": ("Invoice", "INV", "Inv no", "PAYMENT INV", "Ref"),
    "nl": ("Factuur", "FACT", "factuurnr", "Betaling factuur"),
}

# Texts that name no document.
EMPTY_WORDS = {
    "de": ("Zahlung", "Überweisung", "Datenraum", "Rechnungen lt. Avis", "Ausgleich Konto", "Danke"),
    "fr": ("REGLEMENT", "VIREMENT", "prestations data room", "PAIEMENT FOURNISSEUR"),
    "en": ("PAYMENT", "services", "data room fees", "VENDOR PAYMENT", "as per remittance advice", "settlement"),
    "nl": ("BETALING", "diensten", "dataroom kosten", "zie specificatie"),
}

DISPUTE_REASONS = {
    "PRICE": "The price differs from the order form.",
    "QUANTITY": "More pages are billed than were uploaded.",
    "SERVICE": "The room was not reachable on two days.",
    "DUPLICATE": "We believe that this was billed twice.",
    "TAX": "VAT should not have been charged.",
    "NOT_ORDERED": "Nobody here ordered the extra users.",
}

DEDUCTION_REASONS = {
    "SERVICE_CREDIT": "less service credit",
    "PRICE": "price as per order form",
    "TAX_WITHHELD": "withholding tax deducted",
    "PENALTY": "less downtime penalty",
    "UNEARNED_DISCOUNT": "less 2% discount",
}
