// SPDX-License-Identifier: Apache-2.0
#include "pki/imported.h"

#include <openssl/pem.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "base/file.h"
#include "pki/certificate.h"
#include "pki/issue.h"
#include "pki/profiles.h"

namespace cvlan::pki {

namespace {

constexpr size_t kMaxFile = 65536;
constexpr std::string_view kPrefix = "imported-";
constexpr int kMostImported = 1000;

struct ExtensionsFree {
    void operator()(STACK_OF(X509_EXTENSION) * extensions) const {
        sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
    }
};
using Extensions = std::unique_ptr<STACK_OF(X509_EXTENSION), ExtensionsFree>;

bool ask_for(STACK_OF(X509_EXTENSION) * extensions, int nid, const char* value) {
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, nid, value);
    if (extension && sk_X509_EXTENSION_push(extensions, extension) > 0) return true;
    X509_EXTENSION_free(extension);
    return false;
}

Result<std::string> make_request(const TlsKey& key) {
    EvpPtr<X509_REQ> request(X509_REQ_new());
    Extensions extensions(sk_X509_EXTENSION_new_null());
    BioPtr bio(BIO_new(BIO_s_mem()));
    const std::string name = intermediate_name(key.get());
    const bool done =
        request && extensions && X509_REQ_set_version(request.get(), X509_REQ_VERSION_1) == 1 &&
        X509_REQ_set_pubkey(request.get(), key.get()) == 1 &&
        X509_NAME_add_entry_by_txt(X509_REQ_get_subject_name(request.get()), "CN", MBSTRING_ASC,
                                   reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1,
                                   0) == 1 &&
        ask_for(extensions.get(), NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
        ask_for(extensions.get(), NID_key_usage, "critical,keyCertSign,cRLSign") &&
        X509_REQ_add_extensions(request.get(), extensions.get()) == 1 &&
        X509_REQ_sign(request.get(), key.get(), EVP_sha256()) > 0 &&
        PEM_write_bio_X509_REQ(bio.get(), request.get()) == 1;
    if (!done) return openssl_error(Code::Internal, "make a certificate request");
    return bio_text(bio.get());
}

bool exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

std::string name_of(int number) { return fmt::format("{}{:04}", kPrefix, number); }

// Of every folder, complete or not.
std::vector<std::string> names(const std::string& folder) {
    std::vector<std::string> found;
    for (int number = 1; number <= kMostImported; ++number)
        if (exists(folder + "/" + name_of(number))) found.push_back(name_of(number));
    return found;
}

Result<TlsKey> load_key(const std::string& path) {
    auto text = read_secret_file(path, kMaxFile);
    if (!text) return failed(text.error());
    auto key = TlsKey::from_pem(SecretText(std::move(*text)));
    if (!key) return failed(key.error().while_doing(path));
    return key;
}

// The request that this certificate answers.
Result<std::string> request_of(const std::string& folder, X509* certificate) {
    for (const std::string& name : names(folder)) {
        const std::string at = folder + "/" + name;
        if (exists(at + "/intermediate.pem")) continue;
        auto key = load_key(at + "/intermediate.key");
        if (!key && key.error().code == Code::NotFound) continue;
        if (!key) return failed(key.error());
        if (X509_check_private_key(certificate, key->get()) == 1) return name;
        clear_openssl_errors();
    }
    return fail(Code::Conflict,
                "the first certificate is for no key that was requested here and is still open");
}

// An intermediate that was signed for us, and what it leads to.
struct Signed {
    const TlsKey& key;
    X509* certificate;
    std::string_view chain;
    const std::string& root;
    WallTime now;
};

// Lets it sign a leaf, and sees whether TLS would believe that one.
Result<void> try_leaf(const Signed& by, CertificateSpec spec, std::vector<Purpose> purposes) {
    auto leaf_key = TlsKey::generate();
    if (!leaf_key) return failed(leaf_key.error());
    spec.subject_key = leaf_key->get();
    spec.not_before = by.now;
    spec.not_after = by.now + std::chrono::hours(1);
    auto leaf = make_certificate(spec, by.certificate, by.key.get());
    if (!leaf) return failed(leaf.error());
    auto pem = certificate_pem(leaf->get());
    if (!pem) return failed(pem.error());
    for (const Purpose purpose : purposes)
        if (auto good = verify_chain(*pem + std::string(by.chain), {by.root}, by.now, purpose);
            !good)
            return good;
    return {};
}

// The leaves are as real ones: whatever the company's CA has left out or forbidden (its name
// constraints and key usages among it, RFC 5280 section 4.2.1) shows here, and not on the nodes.
Result<void> try_out(const Signed& by, const std::string& trust_domain,
                     const std::string& server_name) {
    constexpr const char* kNobody = "00000000-0000-7000-8000-000000000000";
    const auto node = node_profile(trust_domain, {kNobody, kNobody, model::TokenRole::Vrouter});
    auto good = try_leaf(by, node, {Purpose::TlsClient, Purpose::TlsServer});
    if (!good) return failed(good.error().while_doing("a node's certificate"));
    auto server = server_profile({server_name});
    if (!server) return failed(server.error());
    good = try_leaf(by, *server, {Purpose::TlsServer});
    if (!good) return failed(good.error().while_doing("the certificate of " + server_name));
    return {};
}

Result<std::string> own_trust_domain(const std::string& folder) {
    auto text = read_file(folder + "/root.pem", kMaxFile);
    if (!text) return text;
    auto root = read_certificate(*text);
    if (!root) return failed(root.error());
    return trust_domain_of(root->get());
}

}  // namespace

Result<std::string> request_intermediate(const std::string& folder) {
    int number = 1;
    while (number <= kMostImported && exists(folder + "/" + name_of(number))) ++number;
    if (number > kMostImported)
        return fail(Code::Conflict, "{}: holds {} requests", folder, kMostImported);
    auto key = TlsKey::generate();
    if (!key) return failed(key.error());
    auto request = make_request(*key);
    if (!request) return request;
    auto pem = key->to_pem();
    if (!pem) return failed(pem.error());
    const std::string at = folder + "/" + name_of(number);
    if (auto made = make_directories(at, 0700); !made) return failed(made.error());
    auto kept = create_durable(at + "/intermediate.key", pem->reveal(), 0600);
    if (!kept) return failed(kept.error());
    return request;
}

Result<std::string> import_intermediate(const std::string& folder, std::string_view chain,
                                        const std::string& server_name, WallTime now) {
    auto certificates = split_chain(chain);
    if (!certificates) return failed(certificates.error());
    if (certificates->size() < 2)
        return fail(Code::Invalid, "the chain must hold the intermediate and, last, the root");
    auto intermediate = read_certificate(certificates->front());
    if (!intermediate) return failed(intermediate.error());
    auto root = read_certificate(certificates->back());
    if (!root) return failed(root.error());
    if (X509_verify(root->get(), X509_get0_pubkey(root->get())) != 1)
        return openssl_error(Code::Invalid,
                             "the last certificate is no root: it is not self-signed");
    auto name = request_of(folder, intermediate->get());
    if (!name) return name;

    const std::string at = folder + "/" + *name;
    auto key = load_key(at + "/intermediate.key");
    if (!key) return failed(key.error());
    std::string ours;
    for (size_t i = 0; i + 1 < certificates->size(); ++i) ours += (*certificates)[i];
    auto trust_domain = own_trust_domain(folder);
    if (!trust_domain) return failed(trust_domain.error().while_doing(folder + "/root.pem"));
    auto good = try_out({*key, intermediate->get(), ours, certificates->back(), now}, *trust_domain,
                        server_name);
    if (!good) return failed(good.error().while_doing("what it signs would not be believed"));
    // intermediate.pem is written last: with it the folder counts.
    auto kept = write_durable(at + "/root.pem", certificates->back(), 0644);
    if (kept) kept = create_durable(at + "/intermediate.pem", ours, 0644);
    if (!kept) return failed(kept.error());
    return name;
}

std::vector<std::string> imported(const std::string& folder) {
    std::vector<std::string> complete;
    for (std::string& name : names(folder))
        if (exists(folder + "/" + name + "/intermediate.pem")) complete.push_back(std::move(name));
    return complete;
}

Result<std::string> current(const std::string& folder) {
    auto name = read_file(folder + "/current", 64);
    if (!name && name.error().code == Code::NotFound) return std::string();
    if (!name) return name;
    while (name->ends_with('\n')) name->pop_back();
    const auto known = imported(folder);
    if (std::find(known.begin(), known.end(), *name) == known.end())
        return fail(Code::Malformed, "{}/current: names '{}', which is not here", folder,
                    printable(*name));
    return name;
}

Result<void> use_intermediate(const std::string& folder, const std::string& name) {
    if (name.empty()) return remove_file(folder + "/current");
    const auto known = imported(folder);
    if (std::find(known.begin(), known.end(), name) == known.end())
        return fail(Code::NotFound, "{}: nothing of that name was imported", printable(name));
    return write_durable(folder + "/current", name + "\n", 0644);
}

}  // namespace cvlan::pki
