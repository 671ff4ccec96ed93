from django.apps import AppConfig


class GalleryConfig(AppConfig):
    name = "gallery"

    def ready(self) -> None:
        from django.db.models.signals import pre_delete

        from gallery import changes
        from gallery.models import Template

        pre_delete.connect(changes.log_deletion, Template, dispatch_uid="log of deleted templates")
