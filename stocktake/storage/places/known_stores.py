"""The object stores that are known by name: one table for the guard, the docs and the tests.

A reviewed list of services, not of companies' domains: under ``amazonaws.com`` also live virtual
machines, load balancers and static websites, and what answers there belongs to anybody. So each
host is written out, with one placeholder a label at most; `providers` matches it.

Left out on purpose, to be named in ``TRUSTED_ENDPOINTS`` where they are wanted: domains that
are numbered, so that a stranger may own the next number (``idrivee2-42.com``); gateways of one
customer's own name; endpoints inside a provider's private network, but for AWS's and Azure's.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

_HMAC: Final = "access key and secret"

#: Where a bucket may stand in a URL.
Style = Literal["either", "path", "host"]


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownStore:
    """One service of one provider.

    Attributes:
        name: as its users call it.
        provider: what `stocktake.storage.places.urls.Location` calls it: ``s3``, ``s3_express``,
            ``gcs``, ``r2``, ``azure`` or ``s3_compatible``.
        hosts: the endpoints; ``{region}``, ``{id}`` and ``{account}`` each stand for a part of one
            label. The bucket is not part of them.
        style: whether a bucket and a dot stand before the host, or the bucket in the path.
        labels: what a placeholder may be, as an expression, where it is not the usual.
        region: what requests are signed with where the host names no region.
        regions: regions that are called otherwise in signatures than in hosts.
        prefix: the path before the bucket.
        keys: what goes into the credential.
        example: a URL that is read.
        source: the provider's own page that says so.
        note: what its users should know.
    """

    name: str
    provider: str
    hosts: tuple[str, ...]
    example: str
    source: str
    style: Style = "either"
    labels: Mapping[str, str] = field(default_factory=dict)
    region: str = "us-east-1"
    regions: Mapping[str, str] = field(default_factory=dict)
    prefix: str = ""
    keys: str = _HMAC
    note: str = ""


_AWS_POINT: Final = {"bucket": "[a-z0-9][a-z0-9-]*-[0-9]{12}"}
_VPC: Final = {"id": "[0-9a-z]+(?:-[0-9a-z]+)+"}
_AZURE_KEYS: Final = "account name and key, SAS token, connection string, or Entra client"

KNOWN_STORES: Final[tuple[KnownStore, ...]] = (
    KnownStore(
        name="Amazon S3",
        provider="s3",
        hosts=(
            "s3.amazonaws.com",
            "s3.{region}.amazonaws.com",
            "s3.dualstack.{region}.amazonaws.com",
            "s3-fips.{region}.amazonaws.com",
            "s3-fips.dualstack.{region}.amazonaws.com",
            "s3-{region}.amazonaws.com",
        ),
        example="https://BUCKET.s3.eu-west-1.amazonaws.com/PATH",
        source="https://docs.aws.amazon.com/general/latest/gr/s3.html",
        keys="access key and secret of an IAM user; no session token",
        note="An access point's alias (…-s3alias) is a bucket name like any other. Buckets whose "
        "reader pays are refused.",
    ),
    KnownStore(
        name="Amazon S3 in China",
        provider="s3",
        hosts=("s3.{region}.amazonaws.com.cn", "s3.dualstack.{region}.amazonaws.com.cn"),
        labels={"region": "cn(?:-[a-z]+)+-[0-9]+"},
        example="https://BUCKET.s3.cn-north-1.amazonaws.com.cn/PATH",
        source="https://docs.amazonaws.cn/en_us/aws/latest/userguide/endpoints-Beijing.html",
    ),
    KnownStore(
        name="Amazon S3 in the European Sovereign Cloud",
        provider="s3",
        hosts=(
            "s3.{region}.amazonaws.eu",
            "s3.dualstack.{region}.amazonaws.eu",
            "s3-fips.{region}.amazonaws.eu",
            "s3-fips.dualstack.{region}.amazonaws.eu",
        ),
        labels={"region": "eusc(?:-[a-z]+)+-[0-9]+"},
        example="https://BUCKET.s3.eusc-de-east-1.amazonaws.eu/PATH",
        source="https://github.com/boto/botocore/blob/develop/botocore/data/partitions.json",
    ),
    KnownStore(
        name="Amazon S3 access points",
        provider="s3",
        hosts=(
            "s3-accesspoint.{region}.amazonaws.com",
            "s3-accesspoint.dualstack.{region}.amazonaws.com",
            "s3-accesspoint-fips.{region}.amazonaws.com",
            "s3-accesspoint-fips.dualstack.{region}.amazonaws.com",
            "s3-accesspoint.{region}.amazonaws.com.cn",
            "s3-accesspoint.{region}.amazonaws.eu",
        ),
        style="host",
        labels=_AWS_POINT,
        example="https://NAME-123456789012.s3-accesspoint.eu-west-1.amazonaws.com/PATH",
        source="https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-points-naming.html",
        note="Multi-Region access points sign otherwise (SigV4A) and are refused.",
    ),
    KnownStore(
        name="Amazon S3 through a VPC endpoint",
        provider="s3",
        hosts=("bucket.vpce-{id}.s3.{region}.vpce.amazonaws.com",),
        labels=_VPC,
        example="https://bucket.vpce-1a2b3c4d-5e6f.s3.us-east-1.vpce.amazonaws.com/BUCKET/PATH",
        source="https://docs.aws.amazon.com/AmazonS3/latest/userguide/privatelink-interface-endpoints.html",
        note="Reached only from the network that the endpoint is in. Its address is private: no "
        "byte is sent to it before it has shown Amazon's certificate.",
    ),
    KnownStore(
        name="Amazon S3 access points through a VPC endpoint",
        provider="s3",
        hosts=("accesspoint.vpce-{id}.s3.{region}.vpce.amazonaws.com",),
        style="host",
        labels=_VPC | _AWS_POINT,
        example="https://NAME-123456789012.accesspoint.vpce-1a2b3c4d-5e6f.s3.us-east-1.vpce.amazonaws.com/PATH",
        source="https://docs.aws.amazon.com/AmazonS3/latest/userguide/privatelink-interface-endpoints.html",
    ),
    KnownStore(
        name="Amazon S3 Express One Zone",
        provider="s3_express",
        hosts=("s3express-{id}.{region}.amazonaws.com",),
        style="host",
        labels={"id": "[a-z0-9]+-az[0-9]+", "bucket": "[a-z0-9-]+--[a-z0-9]+-az[0-9]+--x-s3"},
        example="https://NAME--use1-az4--x-s3.s3express-use1-az4.us-east-1.amazonaws.com/PATH",
        source="https://docs.aws.amazon.com/AmazonS3/latest/userguide/endpoint-directory-buckets-AZ.html",
        note="The user needs s3express:CreateSession. Not tried against Amazon.",
    ),
    KnownStore(
        name="Google Cloud Storage",
        provider="gcs",
        hosts=("storage.googleapis.com",),
        region="auto",
        example="https://storage.googleapis.com/BUCKET/PATH",
        source="https://cloud.google.com/storage/docs/request-endpoints",
        keys="HMAC key and its secret (Settings, Interoperability); no service account file",
    ),
    KnownStore(
        name="Google Cloud Storage, regional endpoints",
        provider="gcs",
        hosts=("storage.{region}.rep.googleapis.com",),
        style="path",
        labels={"region": "[a-z]+-[a-z]+[0-9]+"},
        region="auto",
        example="https://storage.europe-west3.rep.googleapis.com/BUCKET/PATH",
        source="https://cloud.google.com/storage/docs/regional-endpoints",
        keys="HMAC key and its secret",
    ),
    KnownStore(
        name="Cloudflare R2",
        provider="r2",
        hosts=(
            "{id}.r2.cloudflarestorage.com",
            "{id}.eu.r2.cloudflarestorage.com",
            "{id}.us.r2.cloudflarestorage.com",
            "{id}.fedramp.r2.cloudflarestorage.com",
        ),
        labels={"id": "[0-9a-f]{32}"},
        region="auto",
        example="https://0123456789abcdef0123456789abcdef.r2.cloudflarestorage.com/BUCKET/PATH",
        source="https://developers.cloudflare.com/r2/reference/data-location/",
        note="Public r2.dev addresses and own domains have no listing, and are refused.",
    ),
    KnownStore(
        name="Azure Blob Storage and Data Lake",
        provider="azure",
        hosts=(
            "{account}.blob.core.windows.net",
            "{account}.dfs.core.windows.net",
            "{account}-secondary.blob.core.windows.net",
            "{account}-secondary.dfs.core.windows.net",
            "{account}.privatelink.blob.core.windows.net",
            "{account}.privatelink.dfs.core.windows.net",
            "{account}.{id}.blob.storage.azure.net",
            "{account}.{id}.dfs.storage.azure.net",
            "{account}-secondary.{id}.blob.storage.azure.net",
            "{account}-secondary.{id}.dfs.storage.azure.net",
        ),
        style="path",
        labels={"id": "z[0-9]{1,2}"},
        example="https://ACCOUNT.blob.core.windows.net/CONTAINER/PATH",
        source="https://learn.microsoft.com/azure/storage/common/storage-account-overview",
        keys=_AZURE_KEYS,
        note="A dfs host is asked by its blob host, and a privatelink host by its public name, as "
        "Azure's certificates want it: with private endpoints, blob needs one.",
    ),
    KnownStore(
        name="Azure for the US government",
        provider="azure",
        hosts=(
            "{account}.blob.core.usgovcloudapi.net",
            "{account}.dfs.core.usgovcloudapi.net",
            "{account}-secondary.blob.core.usgovcloudapi.net",
            "{account}-secondary.dfs.core.usgovcloudapi.net",
            "{account}.privatelink.blob.core.usgovcloudapi.net",
            "{account}.privatelink.dfs.core.usgovcloudapi.net",
        ),
        style="path",
        example="https://ACCOUNT.blob.core.usgovcloudapi.net/CONTAINER/PATH",
        source="https://learn.microsoft.com/azure/azure-government/compare-azure-government-global-azure",
        keys=_AZURE_KEYS,
    ),
    KnownStore(
        name="Azure in China",
        provider="azure",
        hosts=(
            "{account}.blob.core.chinacloudapi.cn",
            "{account}.dfs.core.chinacloudapi.cn",
            "{account}-secondary.blob.core.chinacloudapi.cn",
            "{account}-secondary.dfs.core.chinacloudapi.cn",
            "{account}.privatelink.blob.core.chinacloudapi.cn",
            "{account}.privatelink.dfs.core.chinacloudapi.cn",
        ),
        style="path",
        example="https://ACCOUNT.blob.core.chinacloudapi.cn/CONTAINER/PATH",
        source="https://learn.microsoft.com/azure/china/resources-developer-guide",
        keys=_AZURE_KEYS,
    ),
    KnownStore(
        name="Microsoft OneLake",
        provider="azure",
        hosts=(
            "onelake.blob.fabric.microsoft.com",
            "onelake.dfs.fabric.microsoft.com",
            "{region}-onelake.blob.fabric.microsoft.com",
            "{region}-onelake.dfs.fabric.microsoft.com",
            "{id}.blob.fabric.microsoft.com",
            "{id}.dfs.fabric.microsoft.com",
        ),
        style="path",
        labels={"region": "[a-z0-9]+", "id": r"[0-9a-f]{32}\.z[0-9a-f]{2}"},
        example="https://onelake.dfs.fabric.microsoft.com/WORKSPACE/ITEM.Lakehouse/Tables/orders",
        source="https://learn.microsoft.com/fabric/onelake/onelake-access-api",
        keys="Entra client",
        note="Name a workspace with a space in its name by its GUID.",
    ),
    KnownStore(
        name="Backblaze B2",
        provider="s3_compatible",
        hosts=("s3.{region}.backblazeb2.com",),
        labels={"region": "[a-z]{2}-[a-z]+-[0-9]{3}"},
        example="https://s3.us-west-004.backblazeb2.com/BUCKET/PATH",
        source="https://www.backblaze.com/docs/cloud-storage-s3-compatible-api",
        keys="key id and application key",
        note="The master application key has no S3 access.",
    ),
    KnownStore(
        name="Wasabi",
        provider="s3_compatible",
        hosts=("s3.wasabisys.com", "s3.{region}.wasabisys.com"),
        labels={"region": "[a-z]{2}(?:-[a-z]+)*-[0-9]"},
        regions={
            "nl-1": "eu-central-1",
            "de-1": "eu-central-2",
            "uk-1": "eu-west-1",
            "fr-1": "eu-west-2",
            "uk-2": "eu-west-3",
            "it-1": "eu-south-1",
        },
        example="https://s3.eu-central-1.wasabisys.com/BUCKET/PATH",
        source="https://docs.wasabi.com/docs/service-urls-for-wasabis-storage-regions",
    ),
    KnownStore(
        name="DigitalOcean Spaces",
        provider="s3_compatible",
        hosts=("{region}.digitaloceanspaces.com",),
        labels={"region": "[a-z]{3}[0-9]"},
        example="https://BUCKET.nyc3.digitaloceanspaces.com/PATH",
        source="https://docs.digitalocean.com/products/spaces/reference/aws-sdks/",
        note="The CDN's host (….cdn.digitaloceanspaces.com) has no listing, and is refused.",
    ),
    KnownStore(
        name="Hetzner Object Storage",
        provider="s3_compatible",
        hosts=("{region}.your-objectstorage.com",),
        labels={"region": "[a-z]{3}[0-9]"},
        example="https://BUCKET.fsn1.your-objectstorage.com/PATH",
        source="https://docs.hetzner.com/storage/object-storage/overview",
    ),
    KnownStore(
        name="Scaleway Object Storage",
        provider="s3_compatible",
        hosts=("s3.{region}.scw.cloud",),
        labels={"region": "[a-z]{2}-[a-z]{3}"},
        example="https://s3.fr-par.scw.cloud/BUCKET/PATH",
        source="https://www.scaleway.com/en/docs/object-storage/concepts/",
    ),
    KnownStore(
        name="OVHcloud Object Storage",
        provider="s3_compatible",
        hosts=(
            "s3.{region}.io.cloud.ovh.net",
            "s3.{region}.perf.cloud.ovh.net",
            "s3.{region}.cloud.ovh.net",
            "s3.{region}.io.cloud.ovh.us",
            "s3.{region}.perf.cloud.ovh.us",
            "s3.{region}.cloud.ovh.us",
        ),
        labels={"region": "[a-z]{2,3}(?:-[a-z]+)*"},
        example="https://s3.gra.io.cloud.ovh.net/BUCKET/PATH",
        source="https://github.com/ovh/docs/blob/develop/pages/storage_and_backup/object_storage/s3_location/guide.en-gb.md",
        note="The hosts in ovh.us are not on that page: they are as rclone lists them.",
    ),
    KnownStore(
        name="Akamai (Linode) Object Storage",
        provider="s3_compatible",
        hosts=("{region}.linodeobjects.com",),
        labels={"region": "(?!website)[a-z]{2}-[a-z]+-[0-9]+"},
        example="https://us-east-1.linodeobjects.com/BUCKET/PATH",
        source="https://techdocs.akamai.com/cloud-computing/docs/access-buckets-and-files-through-urls",
    ),
    KnownStore(
        name="Vultr Object Storage",
        provider="s3_compatible",
        hosts=("{region}.vultrobjects.com",),
        labels={"region": "[a-z]+[0-9]"},
        example="https://ewr1.vultrobjects.com/BUCKET/PATH",
        source="https://docs.vultr.com/platform/security-best-practices/vultr-object-storage",
    ),
    KnownStore(
        name="Oracle Cloud Object Storage",
        provider="s3_compatible",
        hosts=(
            "{id}.compat.objectstorage.{region}.oraclecloud.com",
            "{id}.compat.objectstorage.{region}.oci.customer-oci.com",
        ),
        style="path",
        labels={"id": "[a-z0-9]+"},
        example="https://NAMESPACE.compat.objectstorage.us-ashburn-1.oraclecloud.com/BUCKET/PATH",
        source="https://docs.oracle.com/iaas/Content/Object/Tasks/s3compatibleapi.htm",
        keys="customer secret key: its access key and secret",
    ),
    KnownStore(
        name="IBM Cloud Object Storage",
        provider="s3_compatible",
        hosts=(
            "s3.{region}.cloud-object-storage.appdomain.cloud",
            "s3.{id}.{region}.cloud-object-storage.appdomain.cloud",
        ),
        labels={"region": "[a-z]{2,3}(?:-[a-z]+[0-9]?|[0-9]{2})?", "id": "[a-z]{3}"},
        example="https://s3.us-south.cloud-object-storage.appdomain.cloud/BUCKET/PATH",
        source="https://cloud.ibm.com/docs/cloud-object-storage?topic=cloud-object-storage-endpoints",
        keys="HMAC credential: its access key and secret; no IAM API key",
        note="The private and direct hosts are reached only inside IBM Cloud, and are refused.",
    ),
    KnownStore(
        name="Alibaba Cloud OSS",
        provider="s3_compatible",
        hosts=("s3.oss-{region}.aliyuncs.com", "oss-{region}.aliyuncs.com"),
        labels={"region": "(?!accelerate)[a-z0-9-]+(?<!-internal)"},
        example="https://BUCKET.oss-eu-central-1.aliyuncs.com/PATH",
        source="https://www.alibabacloud.com/help/en/oss/developer-reference/compatibility-with-amazon-s3",
        note="Takes the bucket in the host alone.",
    ),
    KnownStore(
        name="Tencent Cloud COS",
        provider="s3_compatible",
        hosts=("cos.{region}.myqcloud.com",),
        labels={"region": "[a-z]{2}-[a-z]+(?:-[a-z0-9]+)*"},
        example="https://NAME-1250000000.cos.ap-guangzhou.myqcloud.com/PATH",
        source="https://www.tencentcloud.com/document/product/436/32537",
        keys="SecretId and SecretKey",
        note="The bucket's name ends in the APPID. Newer buckets take it in the host alone.",
    ),
    KnownStore(
        name="Huawei Cloud OBS",
        provider="s3_compatible",
        hosts=("obs.{region}.myhuaweicloud.com", "obs.{region}.myhuaweicloud.eu"),
        labels={"region": "[a-z]{2}(?:-[a-z0-9]+)*-[0-9]+"},
        example="https://BUCKET.obs.eu-west-101.myhuaweicloud.eu/PATH",
        source="https://support.huaweicloud.com/eu/api-obs/en-us_topic_0031051947.html",
        note="Wants the bucket in the host.",
    ),
    KnownStore(
        name="Open Telekom Cloud OBS",
        provider="s3_compatible",
        hosts=("obs.{region}.otc.t-systems.com", "obs.{region}.sc.otc.t-systems.com"),
        labels={"region": "eu-[a-z]{2}[0-9]?"},
        example="https://BUCKET.obs.eu-de.otc.t-systems.com/PATH",
        source="https://docs.otc.t-systems.com/object-storage-service/umn/service_overview/constraints.html",
        note="Wants the bucket in the host.",
    ),
    KnownStore(
        name="STACKIT Object Storage",
        provider="s3_compatible",
        hosts=("object.storage.{region}.onstackit.cloud",),
        labels={"region": "[a-z]{2}[0-9]{2}"},
        example="https://object.storage.eu01.onstackit.cloud/BUCKET/PATH",
        source="https://github.com/stackitcloud/terraform-provider-stackit#backend-configuration",
    ),
    KnownStore(
        name="IONOS Object Storage",
        provider="s3_compatible",
        hosts=("s3.{region}.ionoscloud.com", "s3-{region}.ionoscloud.com"),
        regions={"eu-central-1": "de"},
        example="https://s3.eu-central-3.ionoscloud.com/BUCKET/PATH",
        source="https://docs.ionos.com/sections-test/api-reference/storage-and-backup/ionos-object-storage/ionos-object-storage-for-contract-owned-buckets/buckets.md",
    ),
    KnownStore(
        name="Exoscale SOS",
        provider="s3_compatible",
        hosts=("sos-{region}.exo.io",),
        labels={"region": "[a-z]{2}-[a-z]+-[0-9]"},
        example="https://sos-ch-gva-2.exo.io/BUCKET/PATH",
        source="https://community.exoscale.com/api/sos",
    ),
    KnownStore(
        name="Contabo Object Storage",
        provider="s3_compatible",
        hosts=("{region}.contabostorage.com",),
        style="path",
        labels={"region": "[a-z]{2,3}[0-9]"},
        example="https://eu2.contabostorage.com/BUCKET/PATH",
        source="https://docs.contabo.com/docs/products/Object-Storage/technical-description/",
        note="Public links (TENANT:BUCKET) are not read.",
    ),
    KnownStore(
        name="Supabase Storage",
        provider="s3_compatible",
        hosts=("{id}.storage.supabase.co",),
        style="path",
        labels={"id": "[a-z]{20}"},
        prefix="storage/v1/s3/",
        example="https://abcdefghijklmnopqrst.storage.supabase.co/storage/v1/s3/BUCKET/PATH",
        source="https://supabase.com/docs/guides/storage/s3/authentication",
        note="Only paths below /storage/v1/s3/ are opened.",
    ),
    KnownStore(
        name="Storj",
        provider="s3_compatible",
        hosts=("gateway.storjshare.io", "gateway.{region}.storjshare.io"),
        labels={"region": "[a-z]{2}[0-9]"},
        example="https://gateway.storjshare.io/BUCKET/PATH",
        source="https://storj.dev/dcs/code/aws/aws-cli-endpoint",
    ),
    KnownStore(
        name="IDrive e2",
        provider="s3_compatible",
        hosts=("s3.{region}.idrivee2.com",),
        example="https://s3.us-west-1.idrivee2.com/BUCKET/PATH",
        source="https://www.idrive.com/s3-storage-e2/e2-endpoint-urls",
        note="Older endpoints (….idrivee2-42.com) have numbered domains: name yours in "
        "TRUSTED_ENDPOINTS.",
    ),
    KnownStore(
        name="Tigris",
        provider="s3_compatible",
        hosts=("t3.storage.dev", "fly.storage.tigris.dev"),
        region="auto",
        example="https://t3.storage.dev/BUCKET/PATH",
        source="https://www.tigrisdata.com/docs/sdks/s3/",
    ),
    KnownStore(
        name="Outscale Object Storage",
        provider="s3_compatible",
        hosts=("oos.{region}.outscale.com",),
        example="https://oos.eu-west-2.outscale.com/BUCKET/PATH",
        source="https://github.com/outscale/terraform-oos-examples",
    ),
    KnownStore(
        name="Gcore Object Storage",
        provider="s3_compatible",
        hosts=("{region}.cloud.gcore.lu",),
        labels={"region": "s-[a-z]+[0-9]?"},
        example="https://s-ed1.cloud.gcore.lu/BUCKET/PATH",
        source="https://gcore.com/docs/storage/manage-s3-storage/s3-service-urls-and-default-region-names",
    ),
    KnownStore(
        name="Telnyx Cloud Storage",
        provider="s3_compatible",
        hosts=("{region}.telnyxcloudstorage.com",),
        example="https://us-central-1.telnyxcloudstorage.com/BUCKET/PATH",
        source="https://developers.telnyx.com/docs/cloud-storage/api-endpoints",
    ),
    KnownStore(
        name="MEGA S4",
        provider="s3_compatible",
        hosts=("s3.{region}.s4.mega.io", "s3.{region}.megas4.com"),
        labels={"region": "g|[a-z]{2}-[a-z]+(?:-[0-9])?"},
        example="https://s3.eu-central-1.s4.mega.io/BUCKET/PATH",
        source="https://help.mega.io/megas4/setup-guides/mega-s4-endpoint-urls",
        note="The hosts in megas4.com are not on that page: its users have them.",
    ),
    KnownStore(
        name="Magalu Cloud",
        provider="s3_compatible",
        hosts=("{region}.magaluobjects.com",),
        labels={"region": "br-[a-z]{2}-?[0-9]"},
        regions={"br-ne-1": "us-east-1", "br-se-1": "us-east-1"},
        example="https://br-se-1.magaluobjects.com/BUCKET/PATH",
        source="https://help.magalu.cloud/hc/pt-br/articles/14734048887451-Tutoriais",
    ),
    KnownStore(
        name="Cubbit DS3",
        provider="s3_compatible",
        hosts=("s3.cubbit.eu",),
        region="eu-west-1",
        example="https://s3.cubbit.eu/BUCKET/PATH",
        source="https://docs.cubbit.io/guides/s3-api",
    ),
    KnownStore(
        name="DreamObjects",
        provider="s3_compatible",
        hosts=("s3.{region}.dream.io", "objects-us-east-1.dream.io"),
        labels={"region": "us-east-[0-9]{3}"},
        example="https://s3.us-east-005.dream.io/BUCKET/PATH",
        source="https://help.dreamhost.com/hc/en-us/articles/360001370846-What-DreamObjects-hostname-should-I-use-to-connect",
    ),
)
