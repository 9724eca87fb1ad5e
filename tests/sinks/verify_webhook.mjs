// A receiver's check as one writes it with node's own crypto: {key, headers, body} in, true or false out.
import { createHmac, createPublicKey, timingSafeEqual, verify } from "node:crypto";
import { readFileSync } from "node:fs";

const { key, headers, body } = JSON.parse(readFileSync(0, "utf8"));
const signed = Buffer.from(`${headers["webhook-id"]}.${headers["webhook-timestamp"]}.${body}`);
const bytes = Buffer.from(key.replace(/^wh(sec|pk)_/, ""), "base64");

function accepts(version, signature) {
  if (version === "v1" && key.startsWith("whsec_")) {
    const expected = createHmac("sha256", bytes).update(signed).digest();
    return expected.length === signature.length && timingSafeEqual(expected, signature);
  }
  if (version === "v1a" && key.startsWith("whpk_")) {
    const jwk = { kty: "OKP", crv: "Ed25519", x: bytes.toString("base64url") };
    return verify(null, signed, createPublicKey({ key: jwk, format: "jwk" }), signature);
  }
  return false;
}

const given = headers["webhook-signature"].split(" ").map((one) => one.split(","));
console.log(JSON.stringify(given.some(([version, text]) => accepts(version, Buffer.from(text, "base64")))));
