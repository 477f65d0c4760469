// SPDX-License-Identifier: Apache-2.0
#include "pki/certificate.h"

#include <openssl/pem.h>

#include "pki/openssl.h"

namespace cvlan::pki {

namespace {

constexpr size_t kMaxChain = 10;
constexpr std::string_view kEnd = "-----END CERTIFICATE-----";

struct StoreFree {
    void operator()(X509_STORE* store) const { X509_STORE_free(store); }
    void operator()(X509_STORE_CTX* context) const { X509_STORE_CTX_free(context); }
    void operator()(STACK_OF(X509) * stack) const { sk_X509_pop_free(stack, X509_free); }
};
template <class T>
using StorePtr = std::unique_ptr<T, StoreFree>;

tl::unexpected<Error> no_identity(std::string_view why) {
    return fail(Code::Denied, "certificate: {}", why);
}

// spiffe://<trust domain>/tenant/<uuid>/node/<uuid>, and nothing but that form.
Result<void> read_identity(std::string_view uri, std::string_view trust_domain,
                           NodeCertificate& node) {
    const std::string tenant = fmt::format("spiffe://{}/tenant/", trust_domain);
    constexpr std::string_view kNode = "/node/";
    constexpr size_t kUuid = 36;
    if (!uri.starts_with(tenant)) return no_identity("of another trust domain or no node's");
    uri.remove_prefix(tenant.size());
    if (uri.size() != kUuid + kNode.size() + kUuid || uri.substr(kUuid, kNode.size()) != kNode)
        return no_identity("its URI names no node");
    node.tenant_id = uri.substr(0, kUuid);
    node.node_id = uri.substr(kUuid + kNode.size());
    if (!is_uuid(node.tenant_id) || !is_uuid(node.node_id))
        return no_identity("its URI names no node");
    return {};
}

Result<Bytes> spki_of(const X509* certificate) {
    const Bytes der = spki_der(X509_get_X509_PUBKEY(certificate));
    if (der.empty()) return openssl_error(Code::Malformed, "certificate: no public key");
    return sha256(der);
}

}  // namespace

Result<NodeCertificate> parse_node_certificate(X509* certificate, std::string_view trust_domain) {
    const std::vector<std::string> uris = uri_names(certificate);
    if (uris.size() != 1) return no_identity("must have one URI");
    NodeCertificate node;
    if (auto read = read_identity(uris.front(), trust_domain, node); !read)
        return failed(read.error());

    auto begins = not_before(certificate);
    if (!begins) return failed(begins.error());
    auto ends = not_after(certificate);
    if (!ends) return failed(ends.error());
    node.not_before = *begins;
    node.not_after = *ends;
    node.serial = serial_hex(certificate);
    if (!X509_get0_pubkey(certificate))
        return openssl_error(Code::Malformed, "certificate: no public key");
    auto spki = spki_of(certificate);
    if (!spki) return failed(spki.error());
    node.key_hash = hex(*spki);
    return node;
}

Result<NodeCertificate> parse_node_certificate(std::string_view pem,
                                               std::string_view trust_domain) {
    auto certificate = read_certificate(pem);
    if (!certificate) return failed(certificate.error());
    return parse_node_certificate(certificate->get(), trust_domain);
}

Result<NodeCertificate> parse_node_certificate_der(ByteView der, std::string_view trust_domain) {
    auto certificate = read_certificate_der(der);
    if (!certificate) return failed(certificate.error());
    return parse_node_certificate(certificate->get(), trust_domain);
}

Result<Bytes> spki_sha256(std::string_view pem) {
    auto certificate = read_certificate(pem);
    if (!certificate) return failed(certificate.error());
    return spki_of(certificate->get());
}

Result<Bytes> spki_sha256_der(ByteView der) {
    auto certificate = read_certificate_der(der);
    if (!certificate) return failed(certificate.error());
    return spki_of(certificate->get());
}

Result<std::vector<std::string>> split_chain(std::string_view pem) {
    std::vector<std::string> certificates;
    while (pem.find_first_not_of(" \t\r\n") != std::string_view::npos) {
        const size_t end = pem.find(kEnd);
        if (end == std::string_view::npos || certificates.size() == kMaxChain)
            return fail(Code::Malformed, "a chain must be 1 to {} certificates in PEM", kMaxChain);
        auto certificate = read_certificate(pem.substr(0, end + kEnd.size()));
        if (!certificate) return failed(certificate.error());
        auto text = certificate_pem(certificate->get());
        if (!text) return failed(text.error());
        certificates.push_back(std::move(*text));
        pem.remove_prefix(end + kEnd.size());
    }
    if (certificates.empty()) return fail(Code::Malformed, "no certificate in PEM");
    return certificates;
}

Result<void> verify_chain(std::string_view chain, const std::vector<std::string>& roots,
                          WallTime now, Purpose purpose) {
    auto certificates = split_chain(chain);
    if (!certificates) return failed(certificates.error());
    StorePtr<X509_STORE> store(X509_STORE_new());
    for (const std::string& root : roots) {
        auto trusted = read_certificate(root);
        if (!trusted) return failed(trusted.error());
        X509_STORE_add_cert(store.get(), trusted->get());
    }
    StorePtr<STACK_OF(X509)> between(sk_X509_new_null());
    for (size_t i = 1; i < certificates->size(); ++i) {
        auto link = read_certificate((*certificates)[i]);
        if (!link) return failed(link.error());
        sk_X509_push(between.get(), link->release());
    }
    auto leaf = read_certificate(certificates->front());
    if (!leaf) return failed(leaf.error());

    StorePtr<X509_STORE_CTX> context(X509_STORE_CTX_new());
    if (X509_STORE_CTX_init(context.get(), store.get(), leaf->get(), between.get()) != 1)
        return openssl_error(Code::Internal, "verify a chain");
    const bool is_client = purpose == Purpose::TlsClient;
    if (purpose != Purpose::Any &&
        X509_STORE_CTX_set_purpose(
            context.get(), is_client ? X509_PURPOSE_SSL_CLIENT : X509_PURPOSE_SSL_SERVER) != 1)
        return openssl_error(Code::Internal, "verify a chain");
    X509_STORE_CTX_set_time(context.get(), 0, static_cast<time_t>(unix_ms(now) / 1000));
    if (X509_verify_cert(context.get()) == 1) return {};
    clear_openssl_errors();
    return fail(Code::Denied, "certificate chain: {}",
                X509_verify_cert_error_string(X509_STORE_CTX_get_error(context.get())));
}

}  // namespace cvlan::pki
