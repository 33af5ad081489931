"""The certificate authorities that are trusted."""

from ssl import get_default_verify_paths

import certifi


def trusted_certificates() -> str:
    """The file of them: Python's own or `SSL_CERT_FILE`, else certifi's.

    Named to libcurl because the one in pycurl's wheel looks where only Red Hat keeps it.
    """
    return get_default_verify_paths().cafile or certifi.where()
