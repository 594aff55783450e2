"""Sets up the tmserver service of Weblate and asks it for suggestions, as Weblate does for its settings page and its editor.

suggest.py URL SOURCE_LANGUAGE TARGET_LANGUAGE THRESHOLD [TEXT]…

Weblate is configured with the least that its class needs: no database, a cache in memory, and one of its checks, which
replaces placeholders in a text before it is sent.
"""

import json
import sys
from types import SimpleNamespace

import django
from django.conf import settings

settings.configure(
    CACHES={"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}},
    CHECK_LIST=("weblate.checks.format.PythonFormatCheck",),
    ENABLE_HTTPS=False,
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "weblate.lang", "weblate.checks"],
    SECRET_KEY="of a test",
    SITE_DOMAIN="weblate.test",
)
django.setup()

from weblate.lang.models import Language, Plural
from weblate.machinery.tmserver import TMServerTranslation


def language(code):
    """A language as the database would give it, with the plural forms that are asked for."""
    found = Language(code=code)
    found.plural = Plural(number=2, formula="n != 1", language=found)
    return found


class Flags(set):
    """What a check asks of the flags of a unit; the class of Weblate loads its fonts."""

    def has_any(self, names):
        return not self.isdisjoint(names)


def unit(source_language, target_language, text):
    """A unit of a project; the model itself needs a database."""
    project = SimpleNamespace(id=1, secondary_language=None)
    component = SimpleNamespace(project=project, source_language=source_language, secondary_language=None)
    translation = SimpleNamespace(
        component=component, language=target_language, plural=target_language.plural, log_debug=print_debug
    )
    return SimpleNamespace(
        translation=translation,
        # As a project has it that knows which of its texts are formats.
        all_flags=Flags({"python-format"} if "%s" in text else ()),
        get_source_plurals=lambda: [text],
        get_target_plurals=lambda: [""],
    )


def print_debug(message, *arguments):
    print(message % arguments, file=sys.stderr)


url, source, target, threshold, *texts = sys.argv[1:]
form = TMServerTranslation.settings_form(TMServerTranslation, {"url": url})
answer = {"errors": form.errors}
if form.is_valid():
    service = TMServerTranslation(form.cleaned_data)
    source, target = language(source), language(target)
    answer["languages"] = sorted(service.supported_languages)
    answer["suggestions"] = [
        service.translate(unit(source, target, text), threshold=int(threshold))[0] for text in texts
    ]
print(json.dumps(answer))
