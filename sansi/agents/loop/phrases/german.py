"""German: the verb that counts stands at the end, or is parted in two."""

from __future__ import annotations

from sansi.agents.loop.phrases.language import INSIDE, Language, pattern

_LOOK = (
    r"(?:nachschlagen|nachsehen|nachschauen|nachprüfen|recherchieren|suchen|heraussuchen|prüfen|überprüfen|abrufen|abfragen|aufrufen|ausrechnen|berechnen"
    r"|ermitteln|herausfinden|durchsuchen|ausführen)"
)
_ACT = r"(?:verwenden|benutzen|nutzen|einsetzen|lesen|öffnen|senden|schicken|speichern|erstellen|anlegen|löschen|aktualisieren|buchen|eintragen)"
_KIND = (
    r"(?:Tools?|Werkzeug\w*|Funktion\w*|Rechner\w*|Suche|Websuche|Browser|Interpreter|API|Datenbank\w*|Abfrage|Skript"
    r"|Befehl|Datei\w*|Ordner\w*|Dokument\w*|E-?Mails?|Mails?|Nachricht\w*|Web|Internet|Webseite|Seite|Buchung|Termin\w*|Kalender"
    r"|Erinnerung|Notiz\w*|Bestellung|[a-z]+_[a-z_]+)"
)
_NOW = r"(?:jetzt|nun|gerade|kurz|schnell|mal|zuerst|zunächst|gleich|sofort|eben)"
_PRESENT = (
    r"(?:rufe|verwende|benutze|nutze|führe|suche|prüfe|überprüfe|berechne|rechne|lese|öffne|sende|schicke|speichere|erstelle|lösche"
    r"|buche|frage|schlage|sehe|schaue|hole|recherchiere|durchsuche)"
)
_THINGS = (
    r"Datei(?:en)?|Ordner|Verzeichnis(?:se)?|Dokumente?|Einträge?|Eintrag|Termine?|Besprechung(?:en)?|Kalender|Erinnerung(?:en)?"
    r"|Aufgaben?|Tickets?|Bestellung(?:en)?|Buchung(?:en)?|Reservierung(?:en)?|Konto|Konten|Notiz(?:en)?|Einstellung(?:en)?|E-?Mails?|Mails?"
    r"|Nachricht(?:en)?|Einladung(?:en)?|Zahlung(?:en)?|Überweisung(?:en)?|Datenbank|Abonnement|Speicher"
)
_WRITTEN = (
    r"(?:gespeichert|abgespeichert|geschrieben|erstellt|angelegt|gelöscht|entfernt|aktualisiert|umbenannt|verschoben|kopiert|geändert|bearbeitet"
    r"|hinzugefügt|eingetragen)"
)
_DONE = (
    r"(?:gesendet|abgesendet|geschickt|abgeschickt|verschickt|versandt|gemailt|gebucht|reserviert|storniert|abgesagt|bestellt|hochgeladen|heruntergeladen"
    r"|installiert|eingereicht|überwiesen|bezahlt|erstattet)"
)
_BOTH = rf"(?:{_DONE}|{_WRITTEN})"

GERMAN = Language(
    plan=pattern(
        rf"\bich\s+(?:werde|muss|will)\s+{INSIDE}(?:\b{_LOOK}\b|\b{_KIND}\b{INSIDE}\b{_ACT}\b)"
        rf"|\bwerde ich\s+{INSIDE}(?:\b{_LOOK}\b|\b{_KIND}\b{INSIDE}\b{_ACT}\b)"
        rf"|\blass(?:en Sie)?\s+(?:mich|uns)\s+{INSIDE}(?:\b{_LOOK}\b|\b{_KIND}\b{INSIDE}\b{_ACT}\b)"
        rf"|\bich\s+{_PRESENT}\s+(?:\w+\s+){{0,4}}?{_NOW}\b|\b{_NOW}\s+{_PRESENT}\s+ich\b"
        rf"|^{_PRESENT}\s+{_NOW}\b"
        r"|^(?:bitte\s+)?(?:einen|ein|nur einen|nur ein)?\s*(?:moment|augenblick|sekunde)(?:,?\s*bitte|\s+geduld)?\b[^.,]{0,20}[.!…]*$"
        r"|^bitte\s+(?:warten|gedulden|warte)\b[^.]{0,40}[.!…]*$"
    ),
    waits=pattern(
        r"\b(?:wenn|falls|sobald|nachdem|bevor|sofern|bis)\s+(?:sie|du|ihr|mir|nötig|gewünscht)\b|\bmöchte(?:n|st)\b|\bsoll ich\b|\bkönnten sie\b|\bkannst du\b"
        r"|\b(?:Sie|du) (?:können|kannst)\b|\bbitte\b(?!\s+(?:warte|gedulde|einen|um))(?!\W*$)|\bauf wunsch\b|\bgern(?:e)?\b"
    ),
    used=pattern(
        rf"\bich habe\s+{INSIDE}\b(?:aufgerufen|verwendet|benutzt|genutzt|ausgeführt|befragt|abgefragt)\b"
        r"|\b(?:laut|gemäß)\s+(?:de[mrn]\s+)?[\w -]{1,64}"
        r"|\b[\w-]{1,64}\s+(?:hat\b[^.;,]{0,40}\b(?:ergeben|geliefert|gemeldet|zurückgegeben)|liefert|ergab|meldet|zeigt)\b"
    ),
    changed=pattern(rf"\b(?:ich habe|habe ich)\s+{INSIDE}(?:\b{_DONE}\b|\b(?:{_THINGS})\b{INSIDE}\b{_WRITTEN}\b)"),
    passive=pattern(
        rf"^(?:die|der|das|ihre?|deine?)\s+(?:{_THINGS})\b(?!.*\b\d{{4}}\b)(?:[^.;,]|\.\w){{0,40}}?\b(?:wurden?|ist|sind)\s+"
        rf"(?:nun|jetzt|bereits|soeben|erfolgreich|\s)*(?:(?:[^.;,]|\.\w){{0,40}}?\s)?(?:{_BOTH})(?:\s+worden)?[.!]*$"
        rf"|^(?:die\s+|ihre\s+)?(?:{_THINGS})\s+(?:(?:an|in|unter|für|erfolgreich)\s+)?(?:[\w.@/-]+\s+)?{_BOTH}[.!]*$"
    ),
    done=pattern(rf"\b{_BOTH}\b"),
    written=pattern(
        r"^(?!.*(?:Datei|Ordner|Datenbank)).*(?:geschrieben|erstellt|angelegt|aktualisiert|bearbeitet|geändert|hinzugefügt)"
    ),
    looked=pattern(
        rf"\b(?:ich habe|habe ich)\s+{INSIDE}(?:\b(?:nachgeschlagen|nachgesehen|nachgeschaut|recherchiert|abgefragt|abgerufen|durchsucht)\b"
        rf"|\bim (?:web|internet|netz|kalender)\b{INSIDE}\b(?:gesucht|geschaut|geprüft|gefunden)\b"
        r"|\bonline\b(?:[^.;,]|\.\w){0,40}?\b(?:gesucht|geprüft|gefunden)\b)"
    ),
    negated=pattern(
        r"\b(?:nicht|kein\w*|nie|niemals|ohne|konnte\w*|könnte\w*|würde\w*|wenn|falls|sobald|bevor|werde|wird|sollte\w*|hätte\w*|müsste\w*|noch nicht)\b"
    ),
    draft=pattern(r"\b(?:unten|oben|folgende\w*|entwurf|hier (?:ist|sind)|untenstehend\w*|obig\w*)\b"),
    own=pattern(r"\b(?:ich|der|die|das|und|nicht|wurde|ist|Sie)\b|[äöüß]"),
    stems={
        "send": ("gesendet", "geschickt", "verschickt", "versandt"),
        "mail": ("gesendet", "geschickt", "verschickt", "gemailt"),
        "save": ("gespeichert",),
        "writ": ("geschrieben", "gespeichert"),
        "creat": ("erstellt", "angelegt"),
        "delet": ("gelöscht", "entfernt"),
        "remov": ("gelöscht", "entfernt"),
        "updat": ("aktualisiert", "geändert"),
        "edit": ("bearbeitet", "geändert"),
        "book": ("gebucht", "reserviert"),
        "reserv": ("gebucht", "reserviert"),
        "cancel": ("storniert", "abgesagt"),
        "order": ("bestellt",),
        "pay": ("bezahlt", "überwiesen"),
        "transfer": ("überwiesen",),
        "upload": ("hochgeladen",),
        "download": ("heruntergeladen",),
        "install": ("installiert",),
        "submit": ("eingereicht",),
        "renam": ("umbenannt",),
        "mov": ("verschoben",),
        "copy": ("kopiert",),
        "add": ("hinzugefügt", "eingetragen"),
        "note": ("gespeichert", "angelegt", "geschrieben"),
        "remember": ("gespeichert",),
    },
    requests={
        "planned": (
            "Du hast geschrieben: „{}“, aber kein Werkzeug aufgerufen. Mach den Aufruf jetzt, oder antworte ohne ihn."
        ),
        "claimed": (
            "Du hast geschrieben: „{}“, aber kein Werkzeugaufruf in diesem Gespräch hat das getan. Mach den Aufruf "
            "jetzt, oder sage klar, dass es nicht geschehen ist."
        ),
    },
)
