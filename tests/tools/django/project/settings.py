import dj_database_url

SECRET_KEY = "of a test"
DATABASES = {"default": dj_database_url.config()}
INSTALLED_APPS = ["django.contrib.contenttypes", "tasks"]
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
