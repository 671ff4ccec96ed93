from django.urls import path

from console.views import page

urlpatterns = [path("", page, name="console")]
