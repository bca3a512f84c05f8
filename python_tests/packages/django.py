import django
from django.conf import settings

settings.configure(
    SECRET_KEY="x",
    USE_I18N=True,
    ROOT_URLCONF="urls",
    STATIC_URL="static/",
    INSTALLED_APPS=[
        "django.contrib.admin",
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.messages",
        "django.contrib.sessions",
        "django.contrib.staticfiles",
        "django.contrib.humanize",
    ],
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
)
django.setup()

from django import forms  # noqa: E402
from django.contrib.auth import password_validation  # noqa: E402
from django.contrib.auth.models import User  # noqa: E402
from django.contrib.staticfiles import finders  # noqa: E402
from django.core.exceptions import ValidationError  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.template import Context, Template, TemplateDoesNotExist, loader  # noqa: E402
from django.utils import formats, timezone, translation  # noqa: E402
from django.views.debug import ExceptionReporter  # noqa: E402


class Form(forms.Form):
    mail = forms.EmailField()
    day = forms.DateField(widget=forms.SelectDateWidget(years=[2024]))


for language in "de", "ar", "pl":
    with translation.override(language):
        print(Form({"mail": "x"}).as_p())
        print(formats.date_format(timezone.datetime(2024, 3, 1), "DATE_FORMAT"))
        print(Template("{% load humanize %}{{ n|intword }}").render(Context({"n": 2_000_000})))
template = loader.get_template("registration/password_reset_email.html")
print(template.origin.name, loader.get_template("admin/login.html").origin.name)
try:
    loader.get_template("admin/no_such.html")
except TemplateDoesNotExist as error:
    print([tried[0].name for tried in error.chain[0].tried] if error.chain else error)
print(finders.find("admin/css/base.css"), finders.find("no/such.css"))
call_command("migrate", verbosity=0)
print(User.objects.create_user("one").pk, User.objects.count())
try:
    # A compressed list beside its module.
    password_validation.CommonPasswordValidator().validate("password")
except ValidationError as error:
    print(error.messages)
try:
    1 / 0  # noqa: B018
except ZeroDivisionError as error:
    text = ExceptionReporter(None, type(error), error, error.__traceback__).get_traceback_html()
    print(len(text) > 10000)
