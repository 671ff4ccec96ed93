from django.urls import path

from demo.views import page

urlpatterns = [path("", page, name="demo")]
