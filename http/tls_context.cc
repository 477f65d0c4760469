// SPDX-License-Identifier: Apache-2.0
#include "http/tls_context.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <functional>

#include "base/ip.h"

namespace cvlan::http {
namespace {

struct BioFree {
    void operator()(BIO* bio) const { BIO_free(bio); }
};
struct X509Free {
    void operator()(X509* certificate) const { X509_free(certificate); }
};
struct KeyFree {
    void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
using BioPtr = std::unique_ptr<BIO, BioFree>;
using X509Ptr = std::unique_ptr<X509, X509Free>;
using KeyPtr = std::unique_ptr<EVP_PKEY, KeyFree>;

constexpr int kChainDepth = 4;
constexpr long kLongestChain = 16 * 1024;

tl::unexpected<Error> openssl_failure(std::string_view doing) {
    char text[256] = "no reason given";
    const unsigned long code = ERR_peek_last_error();
    if (code != 0) ERR_error_string_n(code, text, sizeof text);
    ERR_clear_error();
    return fail(Code::Invalid, "{}: {}", doing, text);
}

Result<std::vector<X509Ptr>> read_certificates(std::string_view pem) {
    const BioPtr bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
    std::vector<X509Ptr> all;
    while (X509* next = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr))
        all.emplace_back(next);
    const unsigned long end = ERR_peek_last_error();
    // The reader ends with PEM_R_NO_START_LINE; anything else is a certificate it could not read.
    if (all.empty() || ERR_GET_REASON(end) != PEM_R_NO_START_LINE)
        return openssl_failure("read certificate");
    ERR_clear_error();
    return all;
}

Bytes spki_of(X509* certificate) {
    unsigned char* der = nullptr;
    const int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der);
    if (size <= 0) return {};
    Bytes hash = sha256({der, static_cast<size_t>(size)});
    OPENSSL_free(der);
    return hash;
}

// Never asks: an encrypted key is refused instead of stopping a daemon at a prompt.
int no_passphrase(char*, int, int, void*) { return -1; }

// Intermediates of ours are named by their key (pki/authority.h): a CA of that name is that one. A
// company may have several of one name.
bool is_named_by_key(X509* intermediate) {
    char name[256];
    const int size = X509_NAME_get_text_by_NID(X509_get_subject_name(intermediate), NID_commonName,
                                               name, sizeof name);
    return size > 0 && std::string_view(name, static_cast<size_t>(size))
                           .ends_with(hex(spki_of(intermediate)).substr(0, 16));
}

bool is_among(const STACK_OF(X509_NAME) * names, const X509_NAME* name) {
    for (int i = 0; i < sk_X509_NAME_num(names); ++i)
        if (X509_NAME_cmp(sk_X509_NAME_value(names, i), name) == 0) return true;
    return false;
}

// RFC 8446 section 4.2.4: each side names the CAs that it has, and the other leaves them out of its
// chain. To read a certificate takes OpenSSL 3.0 a fifth of a millisecond, to verify it a tenth:
// without this the intermediate is a quarter of what a handshake costs.
int leave_out_known(SSL* ssl, void*) {
    const STACK_OF(X509_NAME)* known = SSL_get0_peer_CA_list(ssl);
    STACK_OF(X509)* chain = nullptr;
    SSL_get0_chain_certs(ssl, &chain);
    if (!known || !chain) return 1;
    STACK_OF(X509)* rest = sk_X509_new_null();
    for (int i = 0; i < sk_X509_num(chain); ++i) {
        X509* link = sk_X509_value(chain, i);
        if (!is_among(known, X509_get_subject_name(link))) sk_X509_push(rest, link);
    }
    const bool done = SSL_set1_chain(ssl, rest) == 1;
    sk_X509_free(rest);
    return done ? 1 : 0;
}

enum class Root { Sent, LeftOut };  // of the chain that goes with a certificate

Result<void> use_identity(SSL_CTX* context, std::string_view chain_pem, const SecretText& key_pem,
                          Root root) {
    auto chain = read_certificates(chain_pem);
    if (!chain) return failed(chain.error());
    if (SSL_CTX_use_certificate(context, chain->front().get()) != 1)
        return openssl_failure("use certificate");
    for (size_t i = 1; i < chain->size(); ++i) {
        X509* link = (*chain)[i].get();
        const bool is_root = (X509_get_extension_flags(link) & EXFLAG_SS) != 0;
        if (is_root && root == Root::LeftOut) continue;
        if (SSL_CTX_add1_chain_cert(context, link) != 1)
            return openssl_failure("use certificate chain");
    }

    const std::string& text = key_pem.reveal();
    const BioPtr bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
    const KeyPtr key(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr));
    if (!key) return openssl_failure("read private key");
    if (SSL_CTX_use_PrivateKey(context, key.get()) != 1) return openssl_failure("use private key");
    return {};
}

Result<void> trust_bundle(SSL_CTX* context, std::string_view pem) {
    auto roots = read_certificates(pem);
    if (!roots) return failed(roots.error().while_doing("CA"));
    X509_STORE* store = SSL_CTX_get_cert_store(context);
    for (const auto& root : *roots)
        if (X509_STORE_add_cert(store, root.get()) != 1) return openssl_failure("use CA");
    return {};
}

Result<void> name_roots(SSL_CTX* context, std::string_view pem) {
    auto roots = read_certificates(pem);
    if (!roots) return failed(roots.error().while_doing("CA"));
    for (const auto& root : *roots)
        if (SSL_CTX_add1_to_CA_list(context, root.get()) != 1) return openssl_failure("name CA");
    return {};
}

// To be found without being sent. Whether it is believed is up to what it leads to.
Result<void> know_intermediates(SSL_CTX* context, std::string_view chain_pem) {
    auto chain = read_certificates(chain_pem);
    if (!chain) return failed(chain.error().while_doing("intermediate"));
    for (const auto& link : *chain) {
        const bool is_intermediate = X509_check_ca(link.get()) == 1 &&
                                     (X509_get_extension_flags(link.get()) & EXFLAG_SS) == 0;
        if (!is_intermediate || !is_named_by_key(link.get())) continue;
        if (X509_STORE_add_cert(SSL_CTX_get_cert_store(context), link.get()) != 1 ||
            SSL_CTX_add1_to_CA_list(context, link.get()) != 1)
            return openssl_failure("use intermediate");
    }
    return {};
}

// OpenSSL lets a certificate without any EKU pass for every purpose. Ours always have one.
int demand_client_auth(int ok, X509_STORE_CTX* store) {
    if (ok != 1 || X509_STORE_CTX_get_error_depth(store) != 0) return ok;
    X509* leaf = X509_STORE_CTX_get_current_cert(store);
    const bool has_usage = (X509_get_extension_flags(leaf) & EXFLAG_XKUSAGE) != 0;
    if (has_usage && (X509_get_extended_key_usage(leaf) & XKU_SSL_CLIENT) != 0) return 1;
    X509_STORE_CTX_set_error(store, X509_V_ERR_INVALID_PURPOSE);
    return 0;
}

// A client that offers protocols but not ours (HTTP/2 alone) gets an alert (RFC 7301 section 3.2).
int choose_protocol(SSL*, const unsigned char** out, unsigned char* out_size,
                    const unsigned char* offered, unsigned offered_size, void*) {
    static constexpr unsigned char kOurs[] = "\x08http/1.1";
    unsigned char* chosen = nullptr;
    const int found =
        SSL_select_next_proto(&chosen, out_size, kOurs, sizeof kOurs - 1, offered, offered_size);
    *out = chosen;
    return found == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

Result<SslCtxPtr> new_context(const SSL_METHOD* method) {
    SslCtxPtr context(SSL_CTX_new(method));
    if (!context) return openssl_failure("new TLS context");
    SSL_CTX_set_min_proto_version(context.get(), TLS1_3_VERSION);
    SSL_CTX_set_max_proto_version(context.get(), TLS1_3_VERSION);
    SSL_CTX_set_options(context.get(), SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                        SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                        SSL_MODE_NO_AUTO_CHAIN);
    SSL_CTX_set_cert_cb(context.get(), leave_out_known, nullptr);
    SSL_CTX_set_security_level(context.get(), 2);
    SSL_CTX_set_verify_depth(context.get(), kChainDepth);
    SSL_CTX_set_max_cert_list(context.get(), kLongestChain);
    SSL_CTX_set_max_early_data(context.get(), 0);
    return context;
}

Result<void> ask_for_certificates(SSL_CTX* context, const TlsServerOptions& options) {
    // A resumed session is not verified anew: with client certificates there is none.
    const bool asks = options.client_cert != ClientCert::None;
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(context, asks ? 0 : 1);
    if (!asks) return {};
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
    for (const auto& pem : options.client_ca_pem) {
        if (auto done = trust_bundle(context, pem); !done) return done;
        if (auto done = name_roots(context, pem); !done) return done;
    }
    if (options.client_ca_pem.empty())
        return fail(Code::Invalid, "client certificates without a CA to check them");
    if (!options.client_intermediate_pem.empty())
        if (auto done = know_intermediates(context, options.client_intermediate_pem); !done)
            return done;
    // An intermediate may be the CA that counts, without its root.
    X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(context), X509_V_FLAG_PARTIAL_CHAIN);
    const int must =
        options.client_cert == ClientCert::Required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0;
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | must, demand_client_auth);
    return {};
}

// The CA that the token names is looked for in what the server sends, and trusted alone.
int verify_to_pin(X509_STORE_CTX* store, void* wanted) {
    const auto& pin = *static_cast<const Bytes*>(wanted);
    STACK_OF(X509)* sent = X509_STORE_CTX_get0_untrusted(store);
    STACK_OF(X509)* anchors = sk_X509_new_null();
    for (int i = 0; i < sk_X509_num(sent); ++i) {
        X509* one = sk_X509_value(sent, i);
        if (X509_check_ca(one) == 1 && spki_of(one) == pin) sk_X509_push(anchors, one);
    }
    X509_STORE_CTX_set0_trusted_stack(store, anchors);
    X509_VERIFY_PARAM_set_flags(X509_STORE_CTX_get0_param(store), X509_V_FLAG_PARTIAL_CHAIN);
    const int verdict = X509_verify_cert(store);
    sk_X509_free(anchors);
    return verdict;
}

// The pin lives and dies with its context.
int pin_index() {
    static const int index = SSL_CTX_get_ex_new_index(
        0, nullptr, nullptr, nullptr, [](void*, void* pin, CRYPTO_EX_DATA*, int, long, void*) {
            delete static_cast<Bytes*>(pin);
        });
    return index;
}

Result<void> trust_of(SSL_CTX* context, const TlsTrust& trust) {
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
    if (trust.ca_pem.empty() == trust.ca_spki_sha256.empty())
        return fail(Code::Invalid, "either a CA bundle or the hash of a CA is needed");
    if (!trust.ca_pem.empty()) return trust_bundle(context, trust.ca_pem);
    if (trust.ca_spki_sha256.size() != 32)
        return fail(Code::Invalid, "the hash of a CA has 32 bytes");
    auto pin = std::make_unique<Bytes>(trust.ca_spki_sha256);
    SSL_CTX_set_cert_verify_callback(context, verify_to_pin, pin.get());
    if (SSL_CTX_set_ex_data(context, pin_index(), pin.get()) != 1)
        return openssl_failure("keep pin");
    [[maybe_unused]] const auto* kept = pin.release();
    return {};
}

using Contexts = std::map<std::string, SslCtxPtr, std::less<>>;

// Those of a context that chooses; they live and die with it.
int contexts_index() {
    static const int index = SSL_CTX_get_ex_new_index(
        0, nullptr, nullptr, nullptr, [](void*, void* all, CRYPTO_EX_DATA*, int, long, void*) {
            delete static_cast<Contexts*>(all);
        });
    return index;
}

// Asked for a hello without a name too.
int choose_identity(SSL* ssl, int* alert, void* all) {
    const auto& contexts = *static_cast<const Contexts*>(all);
    const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    const auto found = name ? contexts.find(std::string_view(name)) : contexts.end();
    if (found != contexts.end() && SSL_set_SSL_CTX(ssl, found->second.get()))
        return SSL_TLSEXT_ERR_OK;
    *alert = SSL_AD_UNRECOGNIZED_NAME;
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

// Of nodes alone: what a stranger has would be told to strangers. The controller's certificate has
// the issuer of ours, but for a while after that one was renewed.
Result<void> name_known(SSL_CTX* context, const TlsClientIdentity& identity) {
    if (identity.trust.ca_pem.empty()) return {};  // the pinned one is looked for in what is sent
    if (auto named = name_roots(context, identity.trust.ca_pem); !named) return named;
    return know_intermediates(context, identity.certificate_pem);
}

}  // namespace

Result<Bytes> spki_sha256(std::string_view pem) {
    auto certificates = read_certificates(pem);
    if (!certificates) return failed(certificates.error());
    return spki_of(certificates->front().get());
}

Result<SslCtxPtr> server_context(const TlsServerOptions& options) {
    ERR_clear_error();
    auto context = new_context(TLS_server_method());
    if (!context) return context;
    // With the root: a client that enrols looks there for the CA that its token pins.
    auto used = use_identity(context->get(), options.certificate_chain_pem, options.private_key_pem,
                             Root::Sent);
    if (!used) return failed(used.error().while_doing("server certificate"));
    if (auto done = ask_for_certificates(context->get(), options); !done)
        return failed(done.error());
    SSL_CTX_set_alpn_select_cb(context->get(), choose_protocol, nullptr);
    return context;
}

// The outer context is never seen by anybody: it has the first one's options, because what is asked
// of a client is taken from it before a name is known (SSL_set_SSL_CTX changes the certificates and
// the CAs alone).
Result<SslCtxPtr> server_context(const TlsServerNames& names) {
    if (names.empty()) return fail(Code::Invalid, "no name to serve");
    auto contexts = std::make_unique<Contexts>();
    for (const auto& [name, options] : names) {
        auto one = server_context(options);
        if (!one) return failed(one.error().while_doing(name));
        contexts->emplace(name, std::move(*one));
    }
    auto outer = server_context(names.begin()->second);
    if (!outer) return outer;
    SSL_CTX_set_tlsext_servername_callback(outer->get(), choose_identity);
    SSL_CTX_set_tlsext_servername_arg(outer->get(), contexts.get());
    if (SSL_CTX_set_ex_data(outer->get(), contexts_index(), contexts.get()) != 1)
        return openssl_failure("keep identities");
    [[maybe_unused]] const auto* kept = contexts.release();
    return outer;
}

Result<std::shared_ptr<const ClientTls>> client_tls(const TlsClientIdentity& identity) {
    ERR_clear_error();
    auto context = new_context(TLS_client_method());
    if (!context) return failed(context.error());
    // RFC 7301: says what is meant, so that a certificate serves no other protocol's server.
    static constexpr unsigned char kOurs[] = "\x08http/1.1";
    SSL_CTX_set_alpn_protos(context->get(), kOurs, sizeof kOurs - 1);
    SSL_CTX_set_session_cache_mode(context->get(), SSL_SESS_CACHE_OFF);
    if (auto done = trust_of(context->get(), identity.trust); !done) return failed(done.error());
    if (!identity.certificate_pem.empty()) {
        // RFC 8446 section 4.4.2: a server has its anchors; the root would be read for nothing.
        auto used = use_identity(context->get(), identity.certificate_pem, identity.private_key_pem,
                                 Root::LeftOut);
        if (!used) return failed(used.error().while_doing("client certificate"));
        if (auto named = name_known(context->get(), identity); !named) return failed(named.error());
    }
    return std::make_shared<const ClientTls>(std::move(*context));
}

Result<SslPtr> client_ssl(SSL_CTX* context, const std::string& host) {
    SslPtr ssl(SSL_new(context));
    if (!ssl) return openssl_failure("new TLS connection");
    X509_VERIFY_PARAM* param = SSL_get0_param(ssl.get());
    if (const auto address = Address::parse(host)) {
        const auto bytes = address->bytes();
        if (X509_VERIFY_PARAM_set1_ip(param, bytes.data(), bytes.size()) != 1)
            return openssl_failure("expect address");
        return ssl;
    }
    X509_VERIFY_PARAM_set_hostflags(
        param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    if (X509_VERIFY_PARAM_set1_host(param, host.c_str(), host.size()) != 1 ||
        SSL_set_tlsext_host_name(ssl.get(), host.c_str()) != 1)
        return openssl_failure("expect name");
    return ssl;
}

// SSL_get_peer_cert_chain(3) and the like hand out the stacks that the connection keeps; no
// resumption will ask for them again, and SSL_free(3) takes them as they are.
void forget_chain(SSL* ssl) {
    for (STACK_OF(X509) * chain : {SSL_get_peer_cert_chain(ssl), SSL_get0_verified_chain(ssl)})
        while (X509* one = sk_X509_pop(chain)) X509_free(one);
    auto* names = const_cast<STACK_OF(X509_NAME)*>(SSL_get0_peer_CA_list(ssl));
    while (X509_NAME* one = sk_X509_NAME_pop(names)) X509_NAME_free(one);
    // EVP_PKEY_set_type(3) frees what the key was: there is nothing left for it to verify.
    if (X509* leaf = SSL_get0_peer_certificate(ssl))
        EVP_PKEY_set_type(X509_get0_pubkey(leaf), EVP_PKEY_ED25519);
}

Error handshake_error(SSL* ssl, unsigned long openssl_error) {
    const long verdict = SSL_get_verify_result(ssl);
    if (verdict != X509_V_OK)
        return {Code::Denied, fmt::format("the certificate of the other side is not trusted: {}",
                                          X509_verify_cert_error_string(verdict))};
    const int alert = ERR_GET_REASON(openssl_error) - SSL_AD_REASON_OFFSET;
    const bool is_alert = ERR_GET_LIB(openssl_error) == ERR_LIB_SSL && alert > 0 && alert < 256;
    const bool about_certificate = alert == SSL_AD_CERTIFICATE_REQUIRED ||
                                   (alert >= SSL_AD_BAD_CERTIFICATE && alert <= SSL_AD_UNKNOWN_CA);
    if (is_alert && about_certificate)
        return {Code::Denied, fmt::format("the other side refuses our certificate: {}",
                                          SSL_alert_desc_string_long(alert))};
    char text[256] = "connection closed";
    if (openssl_error != 0) ERR_error_string_n(openssl_error, text, sizeof text);
    return {Code::Unavailable, fmt::format("TLS: {}", text)};
}

}  // namespace cvlan::http
