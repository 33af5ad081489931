"""CloudEvents over HTTP into rows: signed, bounded, and answered once they are committed."""
