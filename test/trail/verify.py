"""Verifies one instance of a trail: python3 verify.py FOLDER VKEY. Prints one JSON object.

Written from the file formats alone (RFC 6962 section 2.1, c2sp.org/signed-note, c2sp.org/tlog-checkpoint), so that a
mistake in the library's verifier is not repeated here. Signatures are checked by the openssl command line.
"""
import base64
import hashlib
import json
import os
import subprocess
import sys
import tempfile

SPKI = bytes.fromhex("302a300506032b6570032100")


def merkle_root(leaves):
    """RFC 6962 section 2.1, level by level: an odd node goes up as it is."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    while len(leaves) > 1:
        pairs = [hashlib.sha256(b"\x01" + a + b).digest() for a, b in zip(leaves[::2], leaves[1::2])]
        leaves = pairs + (leaves[-1:] if len(leaves) % 2 else [])
    return leaves[0]


class Key:
    def __init__(self, vkey):
        self.name, self.hash, encoded = vkey.split("+", 2)
        typed = base64.b64decode(encoded, validate=True)
        assert typed[0] == 1 and len(typed) == 33, "not an Ed25519 key"
        expected = hashlib.sha256(self.name.encode() + b"\n" + typed).hexdigest()[:8]
        assert expected == self.hash, "key hash"
        self.folder = tempfile.TemporaryDirectory()
        self.file = os.path.join(self.folder.name, "key.der")
        with open(self.file, "wb") as out:
            out.write(SPKI + typed[1:])

    def open(self, note):
        """The size and root that the note signs."""
        text, _, signatures = note.rpartition("\n\n")
        text += "\n"
        assert signatures.endswith("\n"), "note without end"
        good = False
        for line in signatures[:-1].split("\n"):
            dash, name, encoded = line.split(" ")
            assert dash == "\u2014", "signature line"
            raw = base64.b64decode(encoded, validate=True)
            if name == self.name and raw[:4].hex() == self.hash:
                assert self.verify(text.encode(), raw[4:]), "bad signature"
                good = True
        assert good, "not signed by this key"
        origin, size, root, rest = text.split("\n", 3)
        assert origin == self.name and rest == "", "checkpoint"
        assert str(int(size)) == size, "size"
        return int(size), base64.b64decode(root, validate=True)

    def verify(self, message, signature):
        paths = [os.path.join(self.folder.name, name) for name in ("message", "signature")]
        for path, content in zip(paths, (message, signature)):
            with open(path, "wb") as out:
                out.write(content)
        command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", self.file, "-keyform", "DER", "-rawin"]
        return subprocess.run(command + ["-in", paths[0], "-sigfile", paths[1]], capture_output=True).returncode == 0


def verify(folder, key):
    leaves, committed, roots = [], 0, {0: merkle_root([])}
    segments = os.path.join(folder, "segments")
    for name in sorted(os.listdir(segments)):
        assert name == "%020d.jsonl" % len(leaves), "segment out of place: " + name
        with open(os.path.join(segments, name), "rb") as file:
            content = file.read()
        assert content.endswith(b"\n"), "segment without end: " + name
        for line in content[:-1].split(b"\n"):
            parsed = json.loads(line)
            if "commit" not in parsed:
                leaves.append(hashlib.sha256(b"\x00" + line).digest())
                continue
            commit = parsed["commit"]
            assert commit["from"] == committed and commit["size"] == len(leaves) > committed, "commit line"
            spelled = json.dumps(parsed, separators=(",", ":"), ensure_ascii=False).encode()
            assert spelled == line, "spelling of a commit line"
            size, root = key.open(parsed["checkpoint"])
            assert size == len(leaves) and root == merkle_root(leaves), "root at %d" % size
            committed = size
            roots[size] = root
        assert committed == len(leaves), "entries without a commit line: " + name
    with open(os.path.join(folder, "checkpoint"), encoding="utf-8", newline="") as file:
        size, root = key.open(file.read())
    assert roots.get(size) == root, "published checkpoint"
    return {"valid": True, "size": len(leaves), "root": merkle_root(leaves).hex()}


try:
    answer = verify(sys.argv[1], Key(sys.argv[2]))
except (AssertionError, ValueError, KeyError, TypeError) as problem:
    answer = {"valid": False, "problem": str(problem)}
print(json.dumps(answer))
