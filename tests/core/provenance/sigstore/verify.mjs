// Verifies Sigstore bundles with a public key, by the library of Sigstore itself.
// Standard input: {"key": PEM, "bundles": [BUNDLE, …]}. Standard output: a JSON list with true or false for each bundle.
import { createPublicKey } from "node:crypto";
import { bundleFromJSON } from "@sigstore/bundle";
import { Verifier, toSignedEntity } from "@sigstore/verify";

const chunks = [];
for await (const chunk of process.stdin) chunks.push(chunk);
const { key, bundles } = JSON.parse(Buffer.concat(chunks).toString());

const trusted = {
  certificateAuthorities: [],
  timestampAuthorities: [],
  tlogs: [],
  ctlogs: [],
  publicKey: () => ({ publicKey: createPublicKey(key), validFor: () => true }),
};
const verifier = new Verifier(trusted, { ctlogThreshold: 0, tlogThreshold: 0, timestampThreshold: 0 });

function isVerified(document) {
  try {
    verifier.verify(toSignedEntity(bundleFromJSON(document)));
    return true;
  } catch {
    return false;
  }
}

process.stdout.write(JSON.stringify(bundles.map(isVerified)));
