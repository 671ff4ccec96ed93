from django.apps import AppConfig


class WebhooksConfig(AppConfig):
    name = "webhooks"

    def ready(self) -> None:
        from jobs import endings
        from webhooks.job_endings import note_end

        endings.LISTENERS.append(note_end)
