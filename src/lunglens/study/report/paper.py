"""What the paper says of its data set (table 2 and section 3), to lay beside a study's own numbers."""

PAPER_SOURCES = {
    "covid-chestxray-dataset": {
        "taken": 472,
        "kind": "variable size, brightness, contrast",
        "selection": "COVID-19 and COVID-19/ARDS, X-ray, frontal views only",
    },
    "nih-chestxray14": {
        "taken": 1000,
        "kind": "constant size",
        "selection": "No Finding, age at least 18, random choice, no medical equipment",
    },
    "chexpert": {
        "taken": 1000,
        "kind": "variable size, resized to 256x256",
        "selection": "No Finding, age above 18, random choice, no medical equipment",
    },
}
PAPER_RESULT = "410 COVID + 500 non-COVID = 910"
