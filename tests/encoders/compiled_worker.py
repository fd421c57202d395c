"""Prints a digest of the bundled model's vectors of some texts, and the instruction set that made them."""

from __future__ import annotations

import hashlib
import json
import sys

from lsr.encoders.compiled.encoder import JointCompiledEncoder
from lsr.encoders.compiled.open import open_compiled
from lsr.kernels.encode.integer_tiles import best_instruction
from lsr.types import Document


def main() -> None:
    """Encode the texts of a JSON list in argv."""
    encoder = open_compiled("default", n_threads=1)
    documents = [Document(str(i), text) for i, text in enumerate(json.loads(sys.argv[1]))]
    assert isinstance(encoder, JointCompiledEncoder)
    sparse, dense = encoder.encode_documents_jointly(documents)
    parts = (sparse.indptr, sparse.term_ids, sparse.weights, dense)
    digest = hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest()
    sys.stdout.write(json.dumps({"instruction": best_instruction(), "digest": digest, "nnz": int(sparse.nnz)}))


if __name__ == "__main__":
    main()
