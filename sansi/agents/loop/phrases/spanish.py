"""Spanish."""

from __future__ import annotations

from sansi.agents.loop.phrases.language import INSIDE, Language, pattern

_LOOK = r"(?:buscar|investigar|verificar|comprobar|consultar|calcular|revisar|averiguar|obtener|ejecutar)(?:lo|la|los|las|te|le|se)*"
_ACT = r"(?:usar|utilizar|llamar|leer|abrir|enviar|guardar|crear|eliminar|borrar|actualizar|reservar|cancelar|añadir|agregar)(?:lo|la|los|las|te|le|se)*"
_KIND = (
    r"(?:herramientas?|funci[oó]n(?:es)?|calculadora|búsqueda|navegador|intérprete|API|base de datos|consulta|script"
    r"|comando|archivos?|ficheros?|carpetas?|documentos?|correos?|e-?mails?|mensajes?|web|internet|página|reserva"
    r"|cita|reunión|calendario|recordatorios?|notas?|[a-z]+_[a-z_]+)"
)
_NOW = r"(?:(?:ahora|primero|rápidamente|ahora mismo|enseguida|a)\s+)*"
_GERUND = r"(?:buscando|investigando|verificando|comprobando|consultando|calculando|revisando|obteniendo|ejecutando)(?:lo|la|los|las|te|le)?"
_PRESENT = r"(?:busco|consulto|llamo|calculo|compruebo|verifico|reviso|utilizo|ejecuto|envío)"
_FUTURE = r"(?:buscaré|consultaré|calcularé|verificaré|comprobaré|revisaré|ejecutaré|averiguaré|investigaré)"
_FUTURE_ACT = (
    r"(?:usaré|utilizaré|llamaré|leeré|abriré|enviaré|guardaré|crearé|eliminaré|borraré|actualizaré|reservaré|haré)"
)
_THINGS = (
    r"archivos?|ficheros?|carpetas?|documentos?|entradas?|eventos?|reuni[oó]n(?:es)?|citas?|calendario|recordatorios?|tareas?|tickets?"
    r"|pedidos?|reservas?|cuentas?|notas?|configuración|correos?|e-?mails?|mensajes?|invitaci[oó]n(?:es)?"
    r"|notificaci[oó]n(?:es)?|pagos?|transferencias?|reembolsos?|suscripci[oó]n(?:es)?|base de datos"
)
_WRITTEN = (
    r"(?:guardad|cread|eliminad|borrad|actualizad|renombrad|movid|copiad|modificad|añadid|agregad)[oa]s?|escrit[oa]s?"
)
_DONE = r"(?:enviad|reservad|cancelad|comprad|descargad|subid|instalad|reembolsad|transferid|pagad|programad)[oa]s?"
_PAST = r"(?:envié|reservé|cancelé|descargué|instalé|compré|pagué|guardé|creé|eliminé|borré|actualicé|modifiqué|añadí|agregué)"
_BOTH = rf"(?:{_DONE}|{_WRITTEN})"
_I_HAVE = r"\b(?:lo |la |los |las |te |le |se lo |se la )?he\s+(?:ya\s+)?"

SPANISH = Language(
    plan=pattern(
        rf"\b(?:voy|vamos)\s+a\s+{_NOW}(?:{_LOOK}\b|{_ACT}\b{INSIDE}\b{_KIND}\b)|\btengo que\s+{_NOW}{_LOOK}\b"
        rf"|\b(?:déja|déje|permíte|permíta)me\s+(?:que\s+)?{_NOW}(?:{_LOOK}\b|{_ACT}\b)"
        rf"|\b(?:estoy|estamos)\s+{_GERUND}\b|^{_GERUND}\b[^,]{{0,60}}[.!…]*$"
        rf"|\bahora(?:\s+mismo)?\s+{_PRESENT}\b|\b{_PRESENT}\b{INSIDE}\bahora(?:\s+mismo)?\b|^{_FUTURE}\b|\b(?:lo|la|ahora|primero)\s+{_FUTURE}\b"
        rf"|^(?:ahora\s+|primero\s+)?(?:{_FUTURE}|{_FUTURE_ACT}\b{INSIDE}\b{_KIND})\b"
        r"|^(?:sólo\s+|solo\s+|dame\s+|deme\s+)?un\s+(?:momento|segundo|instante)(?:,?\s+por favor|,?\s+(?:mientras|que)\b[^.]{0,40})?[.!…]*$"
        r"|^(?:por favor,?\s+)?(?:espere|espera)(?:\s+(?:un|por favor|mientras)\b[^.]{0,30})?[.!…]*$"
    ),
    waits=pattern(
        r"\bsi (?:usted|me|quiere|quieres|lo|necesita|necesitas|es necesario)\b|\b(?:cuando|una vez que|en cuanto|después de que|antes de que|hasta que)\s+(?:me|usted|tú|lo)\b"
        r"|\bpor favor\b(?!,?\s+esper)(?!\W*$)|\b(?:puedes|puede usted|podrías|podría|quieres|desea|deseas)\b"
    ),
    used=pattern(
        rf"{_I_HAVE}(?:usado|utilizado|llamado|ejecutado|consultado)\b{INSIDE}(?=[.;,:!]|$)"
        r"|\bsegún\s+(?:el |la |los |las )?[\w -]{1,64}"
        r"|\b[\w-]{1,64}\s+(?:ha\s+(?:devuelto|dado|indicado)|devolvió|devuelve|dio|da|indica|indicó|muestra)\b"
    ),
    changed=pattern(
        rf"{_I_HAVE}(?:{_DONE}\b|(?:{_WRITTEN})\b{INSIDE}\b(?:{_THINGS})\b)|\b{_PAST}\b{INSIDE}\b(?:{_THINGS})\b"
    ),
    passive=pattern(
        rf"^(?:el|la|los|las|su|sus|tu|tus)\s+(?:{_THINGS})\b(?!.*\b\d{{4}}\b)(?!.*\bpor\b)(?:[^.;,]|\.\w){{0,40}}?\s"
        rf"(?:(?:ha|han)\s+sido|se\s+(?:ha|han))\s+(?:{_BOTH})\b"
        rf"|^(?:{_THINGS})\s+(?:{_BOTH})(?:\s+(?:a|con|en|como|para|correctamente)\b|[.!]*$)"
    ),
    done=pattern(rf"\b{_BOTH}\b"),
    written=pattern(
        r"^(?!.*\b(?:archivo|fichero|carpeta|base)).*(?:cread|escrit|modificad|añadid|agregad|actualizad|creé|modifiqué|añadí|agregué)"
    ),
    looked=pattern(
        rf"{_I_HAVE}(?:hecho|realizado)\s+una\s+búsqueda\b"
        rf"|{_I_HAVE}(?:buscado|investigado|consultado|revisado)\s+(?:en\s+)?(?:el |la |tu |su )?"
        r"(?:web|internet|línea|base de datos|calendario|bandeja)\b"
    ),
    negated=pattern(r"\b(?:no|nunca|jamás|sin|si|cuando|antes|podría|habría|debería|imposible|aún no|en cuanto)\b"),
    draft=pattern(r"\b(?:a continuación|siguiente|siguientes|borrador|aquí (?:está|están|tienes?)|abajo|arriba)\b"),
    own=pattern(r"\b(?:el|la|los|las|se|ha|he|una?|está)\b|[ñ¿¡]"),
    stems={
        "send": ("enviad", "envié"),
        "mail": ("enviad", "envié"),
        "save": ("guardad", "guardé"),
        "writ": ("escrit", "guardad", "guardé"),
        "creat": ("cread", "creé"),
        "delet": ("eliminad", "borrad", "eliminé", "borré"),
        "remov": ("eliminad", "borrad", "eliminé", "borré"),
        "updat": ("actualizad", "modificad", "actualicé"),
        "edit": ("modificad", "modifiqué"),
        "book": ("reservad", "reservé"),
        "reserv": ("reservad", "reservé"),
        "schedul": ("programad",),
        "cancel": ("cancelad", "cancelé"),
        "order": ("comprad", "compré"),
        "refund": ("reembolsad",),
        "pay": ("pagad", "pagué", "transferid"),
        "transfer": ("transferid",),
        "upload": ("subid",),
        "download": ("descargad", "descargué"),
        "install": ("instalad", "instalé"),
        "renam": ("renombrad",),
        "mov": ("movid",),
        "copy": ("copiad",),
        "add": ("añadid", "agregad", "añadí", "agregué"),
        "note": ("guardad", "cread", "escrit", "guardé", "creé"),
        "remember": ("guardad", "guardé"),
    },
    requests={
        "planned": (
            "Has escrito: «{}», pero no has llamado a ninguna herramienta. Haz la llamada ahora, o responde sin ella."
        ),
        "claimed": (
            "Has escrito: «{}», pero ninguna llamada de esta conversación lo ha hecho. Haz la llamada ahora, o di "
            "claramente que no se ha hecho."
        ),
    },
)
