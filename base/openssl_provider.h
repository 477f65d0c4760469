// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace cvlan {

// Has OpenSSL offer only the key types that TLS 1.3, our PKI and a company's CA use (EC, RSA,
// Ed25519, X25519), in DER and PEM: what nobody uses here cannot be reached either. OpenSSL 3.0
// looks at every decoder and key type it has, several times, whenever it reads a certificate or a
// key; of the default provider's 40 decoders these are 13 (docs/adr/0008). All else is the default
// provider's. For a program's main(), before the first call of OpenSSL. Where the system's
// configuration asks for FIPS it changes nothing.
void offer_only_used_keys();

}  // namespace cvlan
