"""Drives the endpoint with boto3, AWS's SDK for Python: every crypto operation and the lifecycle.

What Debian's boto3 is too old to know (rotation on demand, its list, periods) goes as JSON that botocore signs.

Arguments: the endpoint's address and the region. Credentials come from the environment, as boto3 finds them. Prints one
line of JSON: how many calls were answered, and how many refused as they should be.
"""

import hashlib
import hmac
import json
import sys
import urllib.error
import urllib.request

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.exceptions import ClientError

url, region = sys.argv[1:3]
kms = boto3.client(
    "kms", endpoint_url=url, region_name=region, config=Config(retries={"total_max_attempts": 1})
)
answered = 0
refused = 0


def call(operation, **given):
    global answered
    answer = getattr(kms, operation)(**given)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert answer["ResponseMetadata"]["RequestId"]
    answered += 1
    return answer


def fails(name, operation, **given):
    global refused
    try:
        getattr(kms, operation)(**given)
    except ClientError as error:
        assert error.response["Error"]["Code"] == name, (operation, name, error)
        refused += 1
        return
    raise AssertionError(f"{operation} should have been refused: {name}")


def raw(operation, **given):
    """Status and body of a call that botocore signs and nothing else."""
    headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": f"TrentService.{operation}"}
    request = AWSRequest(method="POST", url=url + "/", data=json.dumps(given).encode(), headers=headers)
    SigV4Auth(boto3.Session().get_credentials(), "kms", region).add_auth(request)
    sent = urllib.request.Request(url + "/", data=request.data, headers=dict(request.headers), method="POST")
    try:
        with urllib.request.urlopen(sent) as answer:
            return answer.status, json.loads(answer.read() or b"{}")
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def raw_call(operation, **given):
    global answered
    status, body = raw(operation, **given)
    assert status == 200, body
    answered += 1
    return body


def create(**given):
    return call("create_key", **given)["KeyMetadata"]


# Symmetric keys.
meta = create(Description="first", Tags=[{"TagKey": "team", "TagValue": "billing"}])
key, arn = meta["KeyId"], meta["Arn"]
assert meta["KeyState"] == "Enabled" and meta["CreationDate"].year >= 2024
context = {"order": "17"}
sealed = call("encrypt", KeyId=key, Plaintext=b"a plaintext", EncryptionContext=context)
assert sealed["KeyId"] == arn and sealed["EncryptionAlgorithm"] == "SYMMETRIC_DEFAULT"
blob = sealed["CiphertextBlob"]
opened = call("decrypt", CiphertextBlob=blob, EncryptionContext=context)
assert opened["Plaintext"] == b"a plaintext" and opened["KeyId"] == arn
other = create()["KeyId"]
fails("InvalidCiphertextException", "decrypt", CiphertextBlob=blob)
fails("InvalidCiphertextException", "decrypt", CiphertextBlob=blob[:-1] + b"\0", EncryptionContext=context)
fails("IncorrectKeyException", "decrypt", CiphertextBlob=blob, EncryptionContext=context, KeyId=other)
call("encrypt", KeyId=key, Plaintext=b"x" * 4096)
fails("ValidationException", "encrypt", KeyId=key, Plaintext=b"x" * 4097)
moved = call(
    "re_encrypt",
    CiphertextBlob=blob,
    SourceEncryptionContext=context,
    DestinationKeyId=other,
    DestinationEncryptionContext={"year": "2026"},
)
again = call("decrypt", CiphertextBlob=moved["CiphertextBlob"], EncryptionContext={"year": "2026"})
assert again["Plaintext"] == b"a plaintext"
for given, length in (({"KeySpec": "AES_256"}, 32), ({"KeySpec": "AES_128"}, 16), ({"NumberOfBytes": 64}, 64)):
    data_key = call("generate_data_key", KeyId=key, EncryptionContext=context, **given)
    assert len(data_key["Plaintext"]) == length
    whole = call("decrypt", CiphertextBlob=data_key["CiphertextBlob"], EncryptionContext=context)
    assert whole["Plaintext"] == data_key["Plaintext"]
bare = call("generate_data_key_without_plaintext", KeyId=key, KeySpec="AES_256")
assert len(call("decrypt", CiphertextBlob=bare["CiphertextBlob"])["Plaintext"]) == 32
fails("ValidationException", "generate_data_key", KeyId=key)
pair = call("generate_data_key_pair", KeyId=key, KeyPairSpec="ECC_NIST_P256")
private = call("decrypt", CiphertextBlob=pair["PrivateKeyCiphertextBlob"])
assert private["Plaintext"] == pair["PrivateKeyPlaintext"]
call("generate_data_key_pair_without_plaintext", KeyId=key, KeyPairSpec="ECC_NIST_P256")
assert len(call("generate_random", NumberOfBytes=24)["Plaintext"]) == 24
status, body = raw("Encrypt", KeyId=key, Plaintext="eA==", DryRun=True)
assert (status, body["__type"]) == (412, "DryRunOperationException")

# Rotation.
raw_call("RotateKeyOnDemand", KeyId=key)
assert call("decrypt", CiphertextBlob=blob, EncryptionContext=context)["Plaintext"] == b"a plaintext"
rotations = raw_call("ListKeyRotations", KeyId=key)["Rotations"]
assert [rotation["RotationType"] for rotation in rotations] == ["ON_DEMAND"]
raw_call("EnableKeyRotation", KeyId=key, RotationPeriodInDays=90)
assert raw_call("GetKeyRotationStatus", KeyId=key)["RotationPeriodInDays"] == 90
assert call("get_key_rotation_status", KeyId=key)["KeyRotationEnabled"]
call("disable_key_rotation", KeyId=key)
assert not call("get_key_rotation_status", KeyId=key)["KeyRotationEnabled"]

# Signatures.
message = b"a message"
for spec, algorithms in (
    ("RSA_2048", ["RSASSA_PSS_SHA_256", "RSASSA_PSS_SHA_512", "RSASSA_PKCS1_V1_5_SHA_384"]),
    ("ECC_NIST_P256", ["ECDSA_SHA_256"]),
    ("ECC_NIST_P384", ["ECDSA_SHA_384"]),
    ("ECC_NIST_P521", ["ECDSA_SHA_512"]),
    ("ECC_SECG_P256K1", ["ECDSA_SHA_256"]),
):
    signer = create(KeySpec=spec, KeyUsage="SIGN_VERIFY")["KeyId"]
    public = call("get_public_key", KeyId=signer)
    assert public["KeySpec"] == spec and algorithms[0] in public["SigningAlgorithms"]
    for algorithm in algorithms:
        digest = hashlib.new("sha" + algorithm[-3:], message).digest()
        for given in ({"Message": message}, {"Message": digest, "MessageType": "DIGEST"}):
            made = call("sign", KeyId=signer, SigningAlgorithm=algorithm, **given)
            for as_sent in ({"Message": message}, {"Message": digest, "MessageType": "DIGEST"}):
                verdict = call(
                    "verify", KeyId=signer, SigningAlgorithm=algorithm, Signature=made["Signature"], **as_sent
                )
                assert verdict["SignatureValid"] is True
            fails(
                "KMSInvalidSignatureException",
                "verify",
                KeyId=signer,
                SigningAlgorithm=algorithm,
                Signature=made["Signature"],
                Message=b"another",
            )
    fails("InvalidKeyUsageException", "encrypt", KeyId=signer, Plaintext=b"x")

# MACs.
for bits in (224, 256, 384, 512):
    authenticator = create(KeySpec=f"HMAC_{bits}", KeyUsage="GENERATE_VERIFY_MAC")["KeyId"]
    given = {"KeyId": authenticator, "MacAlgorithm": f"HMAC_SHA_{bits}", "Message": message}
    mac = call("generate_mac", **given)["Mac"]
    assert len(mac) == bits // 8 and mac != hmac.new(b"", message, f"sha{bits}").digest()
    assert call("verify_mac", Mac=mac, **given)["MacValid"] is True
    fails("KMSInvalidMacException", "verify_mac", Mac=bytes(len(mac)), **given)

# RSA for encryption.
sealer = create(KeySpec="RSA_2048", KeyUsage="ENCRYPT_DECRYPT")["KeyId"]
for algorithm, most in (("RSAES_OAEP_SHA_256", 190), ("RSAES_OAEP_SHA_1", 214)):
    closed = call("encrypt", KeyId=sealer, Plaintext=b"x" * most, EncryptionAlgorithm=algorithm)["CiphertextBlob"]
    whole = call("decrypt", KeyId=sealer, CiphertextBlob=closed, EncryptionAlgorithm=algorithm)
    assert whole["Plaintext"] == b"x" * most
    fails(
        "ValidationException", "encrypt", KeyId=sealer, Plaintext=b"x" * (most + 1), EncryptionAlgorithm=algorithm
    )

# Names.
call("create_alias", AliasName="alias/orders", TargetKeyId=key)
fails("AlreadyExistsException", "create_alias", AliasName="alias/orders", TargetKeyId=other)
assert call("describe_key", KeyId="alias/orders")["KeyMetadata"]["KeyId"] == key
call("update_alias", AliasName="alias/orders", TargetKeyId=other)
assert call("describe_key", KeyId="alias/orders")["KeyMetadata"]["KeyId"] == other
aliases = [alias for page in kms.get_paginator("list_aliases").paginate(KeyId=other) for alias in page["Aliases"]]
assert [alias["AliasName"] for alias in aliases] == ["alias/orders"]
call("delete_alias", AliasName="alias/orders")
fails("NotFoundException", "describe_key", KeyId="alias/orders")
pages = list(kms.get_paginator("list_keys").paginate(PaginationConfig={"PageSize": 3}))
assert len(pages) > 2 and key in [one["KeyId"] for page in pages for one in page["Keys"]]
call("update_key_description", KeyId=key, Description="second")
assert call("describe_key", KeyId=arn)["KeyMetadata"]["Description"] == "second"
call("tag_resource", KeyId=key, Tags=[{"TagKey": "stage", "TagValue": "test"}])
tags = call("list_resource_tags", KeyId=key)["Tags"]
assert {tag["TagKey"]: tag["TagValue"] for tag in tags} == {"team": "billing", "stage": "test"}
call("untag_resource", KeyId=key, TagKeys=["stage"])
policy = call("get_key_policy", KeyId=key, PolicyName="default")["Policy"]
call("put_key_policy", KeyId=key, PolicyName="default", Policy=policy)
fails("MalformedPolicyDocumentException", "put_key_policy", KeyId=key, PolicyName="default", Policy="{")
grant = call("create_grant", KeyId=key, GranteePrincipal="arn:aws:iam::111122223333:role/x", Operations=["Encrypt"])
assert call("list_grants", KeyId=key)["Grants"][0]["GrantId"] == grant["GrantId"]
call("revoke_grant", KeyId=key, GrantId=grant["GrantId"])

# States.
call("disable_key", KeyId=key)
fails("DisabledException", "encrypt", KeyId=key, Plaintext=b"x")
call("enable_key", KeyId=key)
gone = call("schedule_key_deletion", KeyId=key, PendingWindowInDays=7)
assert gone["KeyState"] == "PendingDeletion" and gone["DeletionDate"]
fails("KMSInvalidStateException", "encrypt", KeyId=key, Plaintext=b"x")
fails("KMSInvalidStateException", "enable_key", KeyId=key)
call("cancel_key_deletion", KeyId=key)
assert call("describe_key", KeyId=key)["KeyMetadata"]["KeyState"] == "Disabled"
fails("KMSInvalidStateException", "cancel_key_deletion", KeyId=key)
call("enable_key", KeyId=key)
call("decrypt", CiphertextBlob=blob, EncryptionContext=context)

print(json.dumps({"answered": answered, "refused": refused}))
