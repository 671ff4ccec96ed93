from django.apps import AppConfig


class AuditConfig(AppConfig):
    name = "audit"

    def ready(self) -> None:
        from django.db.models.signals import post_save

        from audit.chain import begin_with_tenant

        # By name: this room lies below that of tenants.
        post_save.connect(begin_with_tenant, "tenants.Tenant", dispatch_uid="chain of a new tenant")
