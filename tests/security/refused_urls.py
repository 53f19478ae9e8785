"""URLs that nobody may register, each with the sentence that refuses it. Escapes, where a letter
would not be told from another by its looks; ``{port}`` is the tripwire's port.
"""

HTTPS = "URL pattern must use https."
NO_HOST = "URL pattern must include a valid hostname."
UNSEEN = "URL pattern must not contain line breaks or other control characters."
BACKSLASH = (
    "URL pattern must not contain a backslash. Folders are divided by /; write %5C for a backslash "
    "in a file's name."
)
STRANGER = "URL pattern hostname is not allowed."
INTERNAL = "URL pattern hostname must not resolve to internal IP ranges."
WILDCARD = "The bucket name in a URL pattern must be exact. Wildcards belong in the file path."
ENCODED = "The bucket name in a URL pattern can't contain percent-encoded characters."
NO_BUCKET = "URL pattern must name a bucket and the path of the files in it."
NO_SUCH_BUCKET = "The bucket name in a URL pattern has a character that bucket names can't have."
PATH = "The path in a URL pattern can't contain control characters or '.' and '..' parts."
SIGNED = (
    "URL pattern must not carry a signature or a token, which would be stored and shown with it. "
    "Put an access key and its secret into the credential."
)

#: In the place of the tripwire's port.
PORT = "{port}"


def _words(text: str) -> list[str]:
    return text.split()


#: Not https, or not a URL.
SCHEMES = [
    *_words("""
    http://s3.amazonaws.com/b/k hTTp://s3.amazonaws.com/b/k ftp://s3.amazonaws.com/b/k
    gopher://127.0.0.1:{port}/_x dict://127.0.0.1:{port}/x ldap://127.0.0.1:{port}/x
    ws://127.0.0.1:{port}/b/k http://127.0.0.1:{port}/b/k tftp://127.0.0.1/x file:///etc/passwd
    FILE:///etc/passwd file://localhost/etc/passwd file:/etc/passwd /etc/passwd ../x ~/x
    etc/passwd //s3.amazonaws.com/b/k s3://b/k s3a://b/k gs://b/k az://c/k
    abfss://c@a.dfs.core.windows.net/k unix:///run/docker.sock
    jar:https://s3.amazonaws.com/b/k!/x data:text/csv,a javascript:alert(1)
    view-source:https://s3.amazonaws.com/b/k php://input https:s3.amazonaws.com/b/k
    https:/s3.amazonaws.com/b/k \u200bhttps://s3.amazonaws.com/b/k
    \ufeffhttps://s3.amazonaws.com/b/k \uff48ttps://s3.amazonaws.com/b/k s3.amazonaws.com/b/k
    https:\u2215\u2215s3.amazonaws.com/b/k managed:///uploads/1/x http://10.9.8.7/b/k
    http://10.9.8.7:9001/b/k http://168364040:9000/b/k http://x.store.example/b/k
    http://010.9.8.7:9000/b/k
    """),
    "C:\\x",
    "https:\\\\s3.amazonaws.com\\b",
    "https ://s3.amazonaws.com/b/k",
    "\\\\10.0.0.1\\share\\x",
]

#: Addresses in refused ranges, as hosts.
INTERNAL_HOSTS = [
    *_words("""
    127.0.0.1 127.0.0.1:{port} 127.0.0.1:443 127.0.0.1. 127.255.255.254 0.0.0.0 10.0.0.1
    172.16.0.1 172.31.255.255 192.168.0.1 169.254.169.254 169.254.170.2 100.64.0.1
    100.100.100.200 192.0.0.192 168.63.129.16 198.18.0.1 192.0.2.1 198.51.100.1 203.0.113.1
    192.88.99.1 224.0.0.1 240.0.0.1 255.255.255.255
    """),
    # decimal, hexadecimal, octal, in fewer parts and mixed
    *_words("""
    2130706433 2130706433:{port} 0x7f000001 0X7F000001 017700000001 0 0x0 0177.0.0.1 0x7f.0.0.1
    0x7f.0x0.0x0.0x1 00000000177.0.0.1 127.1 127.0.1 10.1 0x7f.1 2852039166 0xa9fea9fe
    0xA9.0xFE.0xA9.0xFE 0251.0376.0251.0376 169.254.43518 169.16689662 025177524776
    0xa9.254.0251.254
    """),
    # letters that a resolver's preparation folds
    *_words("""
    \uff11\uff12\uff17.0.0.1 \u2460\u2461\u2466.\u24ea.\u24ea.\u2460 127\u30020\u30020\u30021
    127\uff0e0\uff0e0\uff0e1 127\uff610\uff610\uff611
    \u246f\u2468\u3002\u2461\u2464\u2463\u3002\u246f\u2468\u3002\u2461\u2464\u2463
    169\xad.254.169.254 127\u200b.0.0.1
    \U0001d7cf\U0001d7d0\U0001d7d5.\U0001d7ce.\U0001d7ce.\U0001d7cf 0\uff587f000001
    \xb2130706433
    """),
    # IPv6: its own ranges
    *_words("""
    [::1] [::1]:{port} [0:0:0:0:0:0:0:1] [::] [fd00:ec2::254] [fc00::1] [fe80::1] [fec0::1]
    [ff02::1] [100::1] [2001:db8::1] [64:ff9b:1::8.8.8.8]
    """),
    # and an IPv4 address inside: mapped, compatible, translated, NAT64, 6to4, Teredo, ISATAP
    *_words("""
    [::ffff:127.0.0.1]:{port} [::ffff:a9fe:a9fe] [0:0:0:0:0:ffff:7f00:1] [::7f00:1]
    [::169.254.169.254] [::ffff:0:a9fe:a9fe] [64:ff9b::a9fe:a9fe] [64:ff9b::10.0.0.1]
    [64:ff9b:1:a9fe:a9:fe00::] [2002:a9fe:a9fe::] [2002:7f00:1::1]
    [2001:0:4136:e378:8000:63bf:5601:5601] [2001:0:a9fe:a9fe::] [fe80::5efe:a9fe:a9fe]
    [2600::5efe:a9fe:a9fe] [2600::200:5efe:10.0.0.1] [127.0.0.1] 10.9.8.7:9000 [::1%25]:{port}
    """),
]

#: Hosts of nobody's store.
STRANGERS = [
    # outside addresses are nobody's store either
    *_words("8.8.8.8 134744072 0x08080808 [2600::1] [2002:808:808::] [2600::5efe:8.8.8.8]"),
    # names of this machine, of a cloud's metadata, of a cluster
    *_words("""
    localhost localhost:{port} localhost. LOCALHOST. localhost.localdomain ip6-localhost
    metadata.google.internal metadata.google.internal. metadata instance-data
    instance-data.ec2.internal metadata.azure.internal kubernetes.default.svc
    host.docker.internal
    """),
    # names that resolve to what they spell
    *_words("127.0.0.1.nip.io 169.254.169.254.sslip.io localtest.me 1.2.3.0xg"),
    # like a store, and not one
    *_words("""
    s3.amazonaws.com.evil.example s3.amazonaws.com.evil.example. evilamazonaws.com
    evil-s3.amazonaws.com amazonaws.com s3.amazonaws.co s3-amazonaws.com
    s3.amazonaws.com.cn.evil.example ec2-1-2-3-4.compute-1.amazonaws.com x.elb.amazonaws.com
    b.s3-website-us-east-1.amazonaws.com s3-accesspoint.us-east-1.amazonaws.com
    x.execute-api.us-east-1.amazonaws.com sts.amazonaws.com storage.googleapis.com.evil.example
    evilstorage.googleapis.com compute.googleapis.com acct.blob.core.windows.net.evil.example
    acct.file.core.windows.net a.b.blob.core.windows.net evil.r2.cloudflarestorage.com
    pub-0.r2.dev digitaloceanspaces.com nyc3.evildigitaloceanspaces.com
    """),
    # look-alikes: Cyrillic a, dotless i, a punycode name, a combining mark
    *_words("""
    s3.\u0430mazonaws.com s3.amazonaws.com\u0131 storage.googleap\u0131s.com
    s3.xn--amazonws-m2e.com s3.amazonaws.c\u043em s3.a\u0301mazonaws.com
    """),
    # a trusted endpoint's neighbours
    *_words("""
    store.example a.b.store.example evilstore.example x.store.example:8443
    x.store.example.evil.example
    """),
    # a store's other ports
    *_words("""
    s3.amazonaws.com:22 s3.amazonaws.com:80 s3.amazonaws.com:6379 s3.amazonaws.com:65535
    s3.amazonaws.com:{port}
    """),
]

#: Control characters, and other line ends.
UNSEEN_CHARACTERS = [
    "https://s3.amazonaws.com\x7f/b/k",
    "https://s3.amazon\taws.com/b/k",
    "https://s3.amazonaws.com\n/b/k",
    "https://s3.amazonaws.com\r\nHost: x/b/k",
    "https://127.0.0.1\t:{port}/b/k",
    "https://s3.amazonaws.com\x0b/b/k",
    "https://s3.amazonaws.com\x85/b/k",
    "https://s3.amazonaws.com\u2028/b/k",
    "https://s3.amazonaws.com/b\u2029/k",
    "https://s3.amazonaws.com/b\n/k",
    "https://s3.amazonaws.com/b\r\nX-A: b/k",
]

BACKSLASHES = [
    "https://s3.amazonaws.com\\@127.0.0.1:{port}/b/k",
    "https://127.0.0.1:{port}\\.s3.amazonaws.com/b/k",
    "https://s3.amazonaws.com/b\\..\\k",
    "https://\\s3.amazonaws.com/b/k",
]

#: No host at all, or one that two readers would take for two.
NO_HOSTS = [
    *_words("https:// https:///etc/passwd https://?x https://#x https://:443/b/k"),
    # user info
    *_words("""
    https://k:s@s3.amazonaws.com/b/k https://k@s3.amazonaws.com/b/k
    https://@s3.amazonaws.com/b/k https://:@s3.amazonaws.com/b/k
    https://s3.amazonaws.com@127.0.0.1:{port}/b/k
    https://s3.amazonaws.com:443@127.0.0.1:{port}/b/k
    https://127.0.0.1:{port}#@s3.amazonaws.com/b/k
    https://s3.amazonaws.com\uff20evil.example/b/k http://10.9.8.7:9000@127.0.0.1:{port}/b/k
    """),
    "https://s3.amazonaws.com\u202e/b/k",
    # the end of the host is elsewhere for others
    *_words("""
    https://127.0.0.1:{port}#.s3.amazonaws.com/k https://127.0.0.1:{port}?.s3.amazonaws.com/k
    https://evil.example;.s3.amazonaws.com/k https://evil.example,.s3.amazonaws.com/k
    https://evil.example&.s3.amazonaws.com/k https://s3.amazonaws.com?/b/k
    https://s3.amazonaws.com#/b/k https://a\uff0fb.s3.amazonaws.com/k
    https://\u2100.s3.amazonaws.com/k https://evil.example\uff03.s3.amazonaws.com/k
    https://evil.example\uff1f.s3.amazonaws.com/k https://evil\uff1a80.s3.amazonaws.com/k
    """),
    "https://evil.example .s3.amazonaws.com/k",
    # ports that are none
    *_words("""
    https://s3.amazonaws.com:99999/b/k https://s3.amazonaws.com:65536/b/k
    https://s3.amazonaws.com:0/b/k https://s3.amazonaws.com:/b/k https://s3.amazonaws.com:-1/b/k
    https://s3.amazonaws.com:443:80/b/k https://s3.amazonaws.com:0x1bb/b/k
    https://s3.amazonaws.com:\u0664\u0664\u0663/b/k https://s3.amazonaws.com:443\uff10/b/k
    """),
    "https://s3.amazonaws.com:4 43/b/k",
    "https://s3.amazonaws.com:" + "9" * 400 + "/b/k",
    # labels that are none
    *_words("""
    https://s3..amazonaws.com/b/k https://.s3.amazonaws.com/b/k https://s3.amazonaws.com../b/k
    https://-x.example/b/k https://x-.example/b/k
    https://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.s3.amazonaws.com/k
    https://.store.example/b/k https://../b/k
    """),
    "https://" + "a." * 127 + "s3.amazonaws.com/k",
    # addresses that are none
    *_words("""
    https://256.256.256.256/b/k https://1.2.3.4.5/b/k https://4294967296/b/k
    https://0x1ffffffff/b/k https://08.0.0.1/b/k https://[::g]/b/k https://[::1/b/k
    https://::1/b/k https://::1]:{port}/b/k https://[v1.fe80]/b/k https://[fe80::1%25lo]/b/k
    https://[fe80::1%lo]/b/k https://[s3.amazonaws.com]/b/k https://[]/b/k
    https://[::1][::1]/b/k https://[::ffff:127.0.0.256]/b/k https://%31%32%37.0.0.1/b/k
    """),
]

#: Escapes where host and bucket stand.
ENCODED_URLS = [
    *_words("""
    https://s3.amazonaws.com/%62ucket/k https://%62ucket.s3.amazonaws.com/k
    https://s3.amazonaws.com/o%75rs/k https://%6furs.s3.amazonaws.com/k
    https://s3.amazonaws.com/b%2f../k https://s3.amazonaws.com/%2e%2e/ours/k
    https://s3.amazonaws.com/b%2A/k https://s3.amazonaws.com/b%00/k
    https://s3.amazonaws.com/b%/k https://s3.amazonaws.com%2eevil.example/b/k
    https://s3.amazonaws.com%00.evil.example/b/k https://evil.example%2f.s3.amazonaws.com/k
    https://evil.example%23.s3.amazonaws.com/k https://127%2e0%2e0%2e1:{port}/b/k
    https://127.0.0.1%00/b/k https://u%40s3.amazonaws.com/b/k
    https://storage.googleapis.com/o%75rs/k https://acct.blob.core.windows.net/%63/k
    https://x.store.example/b%2a/k
    """),
]

#: Globs where host and bucket stand.
WILDCARDS = [
    *_words("""
    https://*.s3.amazonaws.com/k https://b*.s3.amazonaws.com/k https://{a,b}.s3.amazonaws.com/k
    https://s3.amazonaws.com/b*/k https://s3.amazonaws.com/b?/k https://s3.amazonaws.com/{a,b}/k
    https://s3.amazonaws.com/[b]/k https://s3.amazonaws.com/**/k https://s3.amazonaws.com/*
    https://storage.googleapis.com/**/k https://acct.blob.core.windows.net/c*/k
    https://*.blob.core.windows.net/c/k https://*/b/k https://*.example/b/k
    https://*.store.example/b/k https://x.store.example/b{1..9}/k http://10.9.8.7:9000/*/k
    https://our{s,x}.s3.amazonaws.com/k https://*.amazonaws.com/b/k
    """),
]

#: No bucket, or nothing in it.
BUCKETLESS = [
    *_words("""
    https://s3.amazonaws.com https://s3.amazonaws.com/ https://s3.amazonaws.com/b
    https://s3.amazonaws.com/b/ https://s3.amazonaws.com//ours/k https://b.s3.amazonaws.com
    https://acct.blob.core.windows.net/c https://x.store.example/b https://s3.amazonaws.com/ours
    """),
]

#: What no bucket is called.
ODD_BUCKETS = [
    *_words("""
    https://s3.amazonaws.com/./ours/k https://s3.amazonaws.com/../ours/k
    https://s3.amazonaws.com/b:c/k https://s3.amazonaws.com/b#/k
    https://s3.amazonaws.com/\uff4furs/k https://s3.amazonaws.com/b@evil.example/k
    https://x.store.example/-b/k https://s3.amazonaws.com/our\xads/k
    """),
    "https://s3.amazonaws.com/b b/k",
]

#: Paths that climb, or hide something.
PATHS = [
    *_words("""
    https://s3.amazonaws.com/b/../ours/k https://s3.amazonaws.com/b/./k
    https://s3.amazonaws.com/b/.. https://s3.amazonaws.com/b/%2e%2e/ours/k
    https://s3.amazonaws.com/b/%2E./ours/k https://s3.amazonaws.com/b/..%2fours/k
    https://s3.amazonaws.com/b/a%00b https://b.s3.amazonaws.com/%09
    https://x.store.example/b/a/../../ours/k https://acct.blob.core.windows.net/c/a/%2e%2e/b
    """),
    "https://s3.amazonaws.com/b/a%0d%0aX: y",
]

#: The service's own bucket, which is ``ours``.
OURS = [
    *_words("""
    https://ours.s3.eu-west-1.amazonaws.com/x/k https://ours.s3.amazonaws.com/k
    https://OURS.s3.amazonaws.com/k https://s3.eu-west-1.amazonaws.com/ours/k
    https://s3.amazonaws.com/ours/* https://s3.amazonaws.com/OURS/k
    https://ours.s3.dualstack.eu-west-1.amazonaws.com/k
    https://ours.s3-fips.us-east-1.amazonaws.com/k https://ours.s3-us-west-2.amazonaws.com/k
    https://ours.s3.amazonaws.com./k https://ours.s3.amazonaws.com:443/k
    https://\uff2f\uff35\uff32\uff33.s3.amazonaws.com/k https://our\xads.s3.amazonaws.com/k
    https://our\u017f.s3.amazonaws.com/k https://s3.amazonaws.com./ours/k
    https://s3.amazonaws.com/ours//k https://ours\u3002s3\u3002amazonaws\u3002com/k
    """),
]

#: A signature or token in the URL.
PRESIGNED = [
    *_words("""
    https://b.s3.amazonaws.com/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=0a
    https://b.s3.amazonaws.com/k?x-amz-security-token=0a
    https://b.s3.amazonaws.com/k?AWSAccessKeyId=AKIA&Signature=x&Expires=1
    https://b.s3.amazonaws.com/k%3FX-Amz-Signature=0a
    https://storage.googleapis.com/b/k?GoogleAccessId=a&Signature=x
    https://storage.googleapis.com/b/k?X-Goog-Signature=0a
    https://acct.blob.core.windows.net/c/k?sv=2024-11-04&sig=abc%3D
    https://x.store.example/b/k?token=abc
    """),
]

#: Each with its sentence.
REFUSED: list[tuple[str, str]] = [
    *((HTTPS, url) for url in SCHEMES),
    *((INTERNAL, f"https://{host}/b/k") for host in INTERNAL_HOSTS),
    *((STRANGER, f"https://{host}/b/k") for host in STRANGERS),
    *((NO_HOST, url) for url in NO_HOSTS),
    *((UNSEEN, url) for url in UNSEEN_CHARACTERS),
    *((BACKSLASH, url) for url in BACKSLASHES),
    *((ENCODED, url) for url in ENCODED_URLS),
    *((WILDCARD, url) for url in WILDCARDS),
    *((NO_BUCKET, url) for url in BUCKETLESS),
    *((NO_SUCH_BUCKET, url) for url in ODD_BUCKETS),
    *((PATH, url) for url in PATHS),
    *((STRANGER, url) for url in OURS),
    *((SIGNED, url) for url in PRESIGNED),
]
