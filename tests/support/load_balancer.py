"""A load balancer that ends TLS in front of a proxy, as an Ingress does: a real nginx."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.processes import HOST, Process, Processes, wait_until
from support.public_proxy import PublicProxy, write_pair
from support.tls_certificates import Leaf
from teleport.resources.address import Address

CONFIGURATION = """\
daemon off;
pid {folder}/nginx.pid;
error_log stderr info;
events {{ }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen {listen} ssl;
    ssl_certificate {cert_file};
    ssl_certificate_key {key_file};
    ssl_protocols TLSv1.2;
    location / {{
      proxy_pass https://{proxy};
      proxy_ssl_protocols TLSv1.3;
      proxy_http_version 1.1;
      proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection "upgrade";
      proxy_read_timeout 1h;
    }}
  }}
}}
"""


@contextmanager
def ending_tls(processes: Processes, folder: Path, front: PublicProxy, leaf: Leaf) -> Iterator[Address]:
    """Run nginx in front of a proxy for the time of a block; yield where it listens."""
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if nginx is None:
        pytest.skip("NOT TESTED: a load balancer in front of a proxy needs nginx (apt install nginx-light)")
    folder.mkdir()
    address = processes.reserve_address()
    pair = write_pair(folder, leaf)
    config = folder / "nginx.conf"
    config.write_text(CONFIGURATION.format(folder=folder, listen=address, proxy=front.proxy.address, **pair))
    process = Process((nginx, "-c", str(config)), log=folder / "nginx.log", diag=Address(HOST, 1))
    processes.add(process)
    process.start()
    wait_until(lambda: "start worker processes" in process.log, "nginx runs")
    try:
        yield address
    finally:
        process.stop()
