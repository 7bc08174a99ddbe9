"""French."""

from __future__ import annotations

from sansi.agents.loop.phrases.language import INSIDE, Language, pattern

_LOOK = (
    r"(?:chercher|rechercher|vérifier|consulter|calculer|interroger|récupérer|regarder|exécuter|me renseigner|trouver)"
)
_ACT = r"(?:utiliser|appeler|lancer|lire|ouvrir|envoyer|enregistrer|sauvegarder|créer|supprimer|mettre à jour|réserver|annuler|ajouter)"
_KIND = (
    r"(?:outils?|fonctions?|calculat\w+|calculette|recherche|navigateur|interpréteur|API|base de données|requête|script"
    r"|commande|fichiers?|dossiers?|documents?|e-?mails?|courriels?|messages?|web|internet|site|page|réservation"
    r"|rendez-vous|réunion|calendrier|agenda|rappels?|notes?|[a-z]+_[a-z_]+)"
)
_NOW = r"(?:(?:maintenant|d['’]abord|tout de suite|immédiatement|rapidement|donc|vous|te|le|la|les|l['’])\s*)*"
_PRESENT = r"(?:cherche|recherche|vérifie|consulte|calcule|lance|regarde|interroge|appelle|utilise|exécute|envoie)"
_THINGS = (
    r"fichiers?|dossiers?|répertoires?|documents?|entrées?|événements?|évènements?|réunions?|rendez-vous|calendrier|agenda|rappels?|tâches?|tickets?"
    r"|commandes?|réservations?|comptes?|notes?|paramètres?|e-?mails?|mails?|courriels?|messages?|invitations?"
    r"|notifications?|paiements?|virements?|remboursements?|abonnements?|base de données"
)
_WRITTEN = r"(?:enregistré|sauvegardé|créé|supprimé|effacé|mis à jour|renommé|déplacé|copié|modifié|ajouté|écrit|rédigé)(?:e?s?)"
_DONE = r"(?:envoyé|réservé|annulé|commandé|téléchargé|téléversé|installé|soumis|remboursé|transféré|viré|payé|acheté|planifié)(?:e?s?)"
_BOTH = rf"(?:{_DONE}|{_WRITTEN})"
_I_HAVE = r"\bj['’](?:ai|y ai|en ai)\s+(?:(?:bien|déjà|maintenant|également|aussi|ensuite|vous)\s+)*"

FRENCH = Language(
    plan=pattern(
        rf"\bje (?:vais|dois)\s+{_NOW}(?:{_LOOK}\b|{_ACT}\b{INSIDE}\b{_KIND}\b)"
        rf"|\b(?:laissez|laisse)[- ]moi\s+{_NOW}(?:{_LOOK}\b|{_ACT}\b)|\bpermett(?:ez|s)[- ]moi de\s+{_NOW}(?:{_LOOK}\b|{_ACT}\b)"
        rf"|\bje suis en train d(?:e\s+|['’])(?:{_LOOK}\b|{_ACT}\b{INSIDE}\b{_KIND}\b)"
        rf"|\bje (?:l['’]|le |la |les )?{_PRESENT}\b{INSIDE}\b(?:maintenant|tout de suite|immédiatement|à l['’]instant)\b"
        r"|^(?:recherche|calcul|appel|vérification|consultation)\b[^.,]{0,40}\ben cours\b[^.,]{0,10}[.!…]*$"
        r"|^(?:juste\s+)?(?:un|une)\s+(?:instant|moment|seconde|minute)(?:,?\s+s['’]il (?:vous|te) plaît|,?\s+(?:je|pendant)\b[^.]{0,40})?[.!…]*$"
        r"|^(?:veuillez\s+patienter|patientez|merci de patienter)\b[^.]{0,30}[.!…]*$"
    ),
    waits=pattern(
        r"\bsi (?:vous|tu|besoin|nécessaire)\b|\bs['’]il vous plaît\b(?!\W*$)|\b(?:une fois que|dès que|quand|lorsque|après que|avant que|jusqu['’]à ce que)\s+(?:vous|tu)\b"
        r"|\b(?:voulez|souhaitez|pourriez|pouvez)-vous\b|\b(?:vous pouvez|tu peux)\b|\bveux-tu\b|\bdois-je\b|\bveuillez\b(?!\s+patienter)"
    ),
    used=pattern(
        rf"{_I_HAVE}(?:utilisé|appelé|exécuté|lancé|consulté|interrogé)\b{INSIDE}(?=[.;,:!]|$)"
        r"|\b(?:d['’]après|selon)\s+(?:l['’]|le |la |les )?[\w' ’-]{1,64}"
        r"|\b[\w-]{1,64}\s+(?:a\s+(?:renvoyé|retourné|donné|indiqué)|renvoie|retourne|donne|indique|affiche)\b"
    ),
    changed=pattern(rf"{_I_HAVE}(?:{_DONE}\b|{_WRITTEN}\b{INSIDE}\b(?:{_THINGS})\b)"),
    passive=pattern(
        rf"^(?:le|la|les|l['’]|votre|vos|ton|ta|tes)\s*(?:{_THINGS})\b(?!.*\b\d{{4}}\b)(?!.*\bpar\b)(?:[^.;,]|\.\w){{0,40}}?\s(?:a|ont)\s+"
        rf"(?:bien\s+|déjà\s+)?été\s+(?:bien\s+|correctement\s+)?(?:{_BOTH})"
        rf"|^(?:{_THINGS})\s+(?:bien\s+)?{_BOTH}(?:\s+(?:à|avec|dans|sous|pour)\b|[.!]*$)"
    ),
    done=pattern(rf"\b{_BOTH}"),
    written=pattern(r"^(?!.*\b(?:fichier|dossier|base)).*(?:créé|écrit|rédigé|modifié|ajouté|mis à jour)"),
    looked=pattern(
        rf"{_I_HAVE}(?:fait|effectué)\s+(?:une|des)\s+recherches?\b"
        rf"|{_I_HAVE}(?:cherché|recherché|consulté|vérifié|regardé|interrogé)\s+(?:sur|dans|le|la|votre)\s*(?:le |la |l['’])?"
        r"(?:web|internet|site|base de données|calendrier|agenda|boîte)\b"
    ),
    negated=pattern(
        r"\b(?:ne|pas|jamais|sans|si|quand|lorsque|avant|pourrais|pourrait|aurais|aurait|serait|devrais|impossible|dès que)\b|\bn['’]"
    ),
    draft=pattern(r"\b(?:ci-dessous|ci-dessus|suivante?s?|brouillon|voici|voilà)\b"),
    own=pattern(r"\b(?:je|j['’]ai|le|la|les|vous|est|été|une?)\b"),
    stems={
        "send": ("envoyé",),
        "mail": ("envoyé",),
        "save": ("enregistré", "sauvegardé"),
        "writ": ("écrit", "enregistré"),
        "creat": ("créé",),
        "delet": ("supprimé", "effacé"),
        "remov": ("supprimé", "effacé"),
        "updat": ("mis à jour", "modifié"),
        "edit": ("modifié",),
        "book": ("réservé",),
        "reserv": ("réservé",),
        "schedul": ("planifié",),
        "cancel": ("annulé",),
        "order": ("commandé", "acheté"),
        "refund": ("remboursé",),
        "pay": ("payé", "viré"),
        "transfer": ("transféré", "viré"),
        "upload": ("téléversé", "téléchargé"),
        "download": ("téléchargé",),
        "install": ("installé",),
        "submit": ("soumis",),
        "renam": ("renommé",),
        "mov": ("déplacé",),
        "copy": ("copié",),
        "add": ("ajouté",),
        "note": ("enregistré", "ajouté", "créé", "écrit"),
        "remember": ("enregistré",),
    },
    requests={
        "planned": (
            "Tu as écrit : « {} », mais tu n'as appelé aucun outil. Fais l'appel maintenant, ou réponds sans lui."
        ),
        "claimed": (
            "Tu as écrit : « {} », mais aucun appel d'outil de cette conversation ne l'a fait. Fais l'appel "
            "maintenant, ou dis clairement que cela n'a pas été fait."
        ),
    },
)
