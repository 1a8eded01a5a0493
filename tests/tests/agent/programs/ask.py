"""Asks a server inside TLS by a binding of libcurl, by HTTP/1.1 and by HTTP/2.

    ask.py pycurl|curl_cffi URL
"""
import sys
import time


def pycurl(url):
    import io

    import pycurl

    for version in (pycurl.CURL_HTTP_VERSION_1_1, pycurl.CURL_HTTP_VERSION_2_0):
        handle = pycurl.Curl()
        handle.setopt(pycurl.HTTP_VERSION, version)
        handle.setopt(pycurl.SSL_VERIFYPEER, 0)
        handle.setopt(pycurl.SSL_VERIFYHOST, 0)

        def get(path):
            body = io.BytesIO()
            handle.setopt(pycurl.URL, url + path)
            handle.setopt(pycurl.WRITEDATA, body)
            handle.perform()
            return handle.getinfo(pycurl.RESPONSE_CODE), len(body.getvalue())

        yield get
        handle.close()


def curl_cffi(url):
    from curl_cffi import requests
    from curl_cffi.const import CurlHttpVersion

    for version in (CurlHttpVersion.V1_1, CurlHttpVersion.V2_0):
        with requests.Session(verify=False, http_version=version) as session:

            def get(path):
                answer = session.get(url + path)
                return answer.status_code, len(answer.content)

            yield get


ways = {"pycurl": pycurl, "curl_cffi": curl_cffi}[sys.argv[1]](sys.argv[2])
for number, get in enumerate(ways):
    if number == 0:
        # The library is loaded; by now it has been found.
        time.sleep(1.5)
    for _ in range(10):
        assert get("/items")[0] == 200
    for _ in range(5):
        assert get("/missing")[0] == 404
    for _ in range(2):
        assert get("/static.bin") == (200, 300000)
