// SPDX-License-Identifier: Apache-2.0
#pragma once

// What the files of pki share over OpenSSL's calls. Only they include it.

#include <openssl/bio.h>
#include <openssl/x509v3.h>

#include <memory>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/clock.h"
#include "pki/keys.h"

namespace cvlan::pki {

struct BioFree {
    void operator()(BIO* bio) const { BIO_free_all(bio); }
};
using BioPtr = std::unique_ptr<BIO, BioFree>;

BioPtr read_bio(std::string_view text);  // `text` outlives it
BioPtr secret_bio();                     // to write to; its memory is wiped when it is freed
std::string bio_text(BIO* bio);

void clear_openssl_errors();
// `doing` and the reason of OpenSSL's first error; the error queue is empty afterwards.
tl::unexpected<Error> openssl_error(Code code, std::string_view doing);

Bytes spki_der(EVP_PKEY* key);
// As it stands there: much cheaper than to encode the key anew.
Bytes spki_der(const X509_PUBKEY* key);
std::string group_name(EVP_PKEY* key);  // "prime256v1"; empty where it is no EC key

Result<EvpPtr<X509>> read_certificate(std::string_view pem);  // the first of a chain
Result<EvpPtr<X509>> read_certificate_der(ByteView der);
Result<std::string> certificate_pem(X509* certificate);

std::string serial_hex(const X509* certificate);
Result<WallTime> not_before(const X509* certificate);
Result<WallTime> not_after(const X509* certificate);
// Every URI among the subject's alternative names.
std::vector<std::string> uri_names(const X509* certificate);

}  // namespace cvlan::pki
