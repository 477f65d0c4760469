// SPDX-License-Identifier: Apache-2.0
#include "pki/authority.h"

#include <unistd.h>

#include <algorithm>

#include "base/file.h"
#include "pki/certificate.h"
#include "pki/imported.h"
#include "pki/issue.h"
#include "pki/profiles.h"

namespace cvlan::pki {

namespace {

using std::chrono::days;

constexpr days kRootLife{3652};
constexpr days kIntermediateLife{365};
// Clocks of nodes are a little off.
constexpr std::chrono::minutes kBackdate{5};
constexpr size_t kMaxFile = 65536;

// What can not be looked at counts as there: whoever reads it learns why.
bool exists(const std::string& path) {
    return ::access(path.c_str(), F_OK) == 0 || (errno != ENOENT && errno != ENOTDIR);
}

Result<TlsKey> load_key(const std::string& path) {
    auto text = read_secret_file(path, kMaxFile);
    if (!text) return failed(text.error());
    auto key = TlsKey::from_pem(SecretText(std::move(*text)));
    if (!key) return failed(key.error().while_doing(path));
    return key;
}

Result<TlsKey> make_key(const std::string& path) {
    auto key = TlsKey::generate();
    if (!key) return key;
    auto pem = key->to_pem();
    if (!pem) return failed(pem.error());
    if (auto kept = write_durable(path, pem->reveal(), 0600); !kept) return failed(kept.error());
    return key;
}

Result<void> save_certificate(const std::string& path, X509* certificate) {
    auto pem = certificate_pem(certificate);
    if (!pem) return failed(pem.error());
    return write_durable(path, *pem, 0644);
}

Result<EvpPtr<X509>> load_certificate(const std::string& path) {
    auto text = read_file(path, kMaxFile);
    if (!text) return failed(text.error());
    auto certificate = read_certificate(*text);
    if (!certificate) return failed(certificate.error().while_doing(path));
    return certificate;
}

// The key is written before its certificate: a crash between them leaves a key that is used here.
Result<void> make_root(const std::string& folder, const std::string& trust_domain, WallTime now) {
    const std::string key_path = folder + "/root.key";
    auto key = exists(key_path) ? load_key(key_path) : make_key(key_path);
    if (!key) return failed(key.error());
    CertificateSpec spec;
    spec.subject_key = key->get();
    spec.organization = "CloudVLAN";
    spec.common_name = "CloudVLAN root";
    spec.uris = {fmt::format("{}{}", kSpiffe, trust_domain)};
    spec.basic_constraints = "critical,CA:TRUE,pathlen:1";
    spec.key_usage = "critical,keyCertSign,cRLSign";
    spec.not_before = now - kBackdate;
    spec.not_after = now + kRootLife;
    auto root = make_certificate(spec, nullptr, key->get());
    if (!root) return failed(root.error());
    return save_certificate(folder + "/root.pem", root->get());
}

Result<void> make_intermediate(const std::string& folder, WallTime now) {
    auto root_key = load_key(folder + "/root.key");
    if (!root_key) return failed(root_key.error().while_doing("intermediate certificate"));
    auto root = load_certificate(folder + "/root.pem");
    if (!root) return failed(root.error());
    auto ends = not_after(root->get());
    if (!ends) return failed(ends.error());
    auto key = make_key(folder + "/intermediate.key");
    if (!key) return failed(key.error());

    CertificateSpec spec;
    spec.subject_key = key->get();
    spec.organization = "CloudVLAN";
    spec.common_name = intermediate_name(key->get());
    spec.basic_constraints = "critical,CA:TRUE,pathlen:0";
    spec.key_usage = "critical,keyCertSign,cRLSign";
    spec.not_before = now - kBackdate;
    spec.not_after = std::min<WallTime>(now + kIntermediateLife, *ends);
    auto certificate = make_certificate(spec, root->get(), root_key->get());
    if (!certificate) return failed(certificate.error());
    return save_certificate(folder + "/intermediate.pem", certificate->get());
}

// A crash while the intermediate is renewed leaves the new key beside the old certificate; the key
// of that certificate is then the previous one.
Result<TlsKey> load_fitting_key(const std::string& path, X509* certificate) {
    auto key = load_key(path);
    if (!key) return key;
    if (X509_check_private_key(certificate, key->get()) == 1) return key;
    clear_openssl_errors();
    auto previous = load_key(path + ".prev");
    if (previous && X509_check_private_key(certificate, previous->get()) == 1) return previous;
    clear_openssl_errors();
    return fail(Code::Malformed, "{}: is not the key of the certificate beside it", path);
}

// The file's certificates, each signed by the next, the last by the root.
Result<std::string> load_chain(const std::string& path, X509* root) {
    auto text = read_file(path, kMaxFile);
    if (!text) return text;
    auto links = split_chain(*text);
    if (!links) return failed(links.error().while_doing(path));
    std::string chain;
    for (size_t i = 0; i < links->size(); ++i) {
        auto link = read_certificate((*links)[i]);
        if (!link) return failed(link.error());
        EvpPtr<X509> next;
        if (i + 1 < links->size()) {
            auto above = read_certificate((*links)[i + 1]);
            if (!above) return failed(above.error());
            next = std::move(*above);
        }
        if (X509_verify(link->get(), X509_get0_pubkey(next ? next.get() : root)) != 1)
            return openssl_error(Code::Malformed, path + ": is not signed by root.pem");
        chain += (*links)[i];
    }
    return chain;
}

}  // namespace

struct Authority::Leaf {
    CertificateSpec spec;
    std::chrono::seconds life;
};

bool Authority::is_present(const std::string& folder) {
    return exists(folder + "/root.pem") || exists(folder + "/intermediate.pem");
}

Result<bool> Authority::create(const std::string& folder, const std::string& trust_domain,
                               WallTime now) {
    if (!is_host_name(trust_domain) || trust_domain.size() > 128)
        return fail(Code::Invalid, "trust domain '{}' is no host name", printable(trust_domain));
    if (auto made = make_directories(folder, 0700); !made) return failed(made.error());
    bool is_new = false;
    if (!exists(folder + "/root.pem")) {
        // Another root would be another authority: nobody would trust it.
        if (exists(folder + "/intermediate.pem"))
            return fail(Code::Conflict,
                        "{}/root.pem is missing beside intermediate.pem: restore it", folder);
        if (auto made = make_root(folder, trust_domain, now); !made) return failed(made.error());
        is_new = true;
    }
    if (!exists(folder + "/intermediate.pem")) {
        if (auto made = make_intermediate(folder, now); !made) return failed(made.error());
        is_new = true;
    }
    return is_new;
}

Result<void> Authority::renew_intermediate(const std::string& folder, WallTime now) {
    auto in_use = current(folder);
    if (!in_use) return failed(in_use.error());
    if (!in_use->empty())
        return fail(Code::Conflict,
                    "the intermediate is a company's: request a new one from its CA");
    return make_intermediate(folder, now);
}

// Root and intermediate of one folder.
Result<Authority> Authority::load(const std::string& folder) {
    auto root = load_certificate(folder + "/root.pem");
    if (!root) return failed(root.error());
    auto intermediate = load_certificate(folder + "/intermediate.pem");
    if (!intermediate) return failed(intermediate.error());
    auto key = load_fitting_key(folder + "/intermediate.key", intermediate->get());
    if (!key) return failed(key.error());
    auto chain = load_chain(folder + "/intermediate.pem", root->get());
    if (!chain) return failed(chain.error());
    auto root_pem = certificate_pem(root->get());
    auto root_ends = not_after(root->get());
    auto begins = not_before(intermediate->get());
    auto ends = not_after(intermediate->get());
    if (!root_pem || !root_ends || !begins || !ends)
        return fail(Code::Malformed, "{}: unreadable certificates", folder);
    Authority authority(std::move(*key));
    authority.root_pem_ = std::move(*root_pem);
    authority.intermediate_pem_ = std::move(*chain);
    authority.root_spki_ = sha256(spki_der(X509_get0_pubkey(root->get())));
    authority.root_not_after_ = *root_ends;
    authority.intermediate_not_before_ = *begins;
    authority.intermediate_not_after_ = *ends;
    authority.intermediate_ = std::move(*intermediate);
    return authority;
}

Result<Authority> Authority::open(const std::string& folder) {
    auto own_root = load_certificate(folder + "/root.pem");
    if (!own_root) return failed(own_root.error());
    if (exists(folder + "/root.key"))
        if (auto key = load_fitting_key(folder + "/root.key", own_root->get()); !key)
            return failed(key.error());
    auto trust_domain = trust_domain_of(own_root->get());
    if (!trust_domain) return failed(trust_domain.error().while_doing(folder + "/root.pem"));
    auto in_use = current(folder);
    if (!in_use) return failed(in_use.error());

    auto authority = load(in_use->empty() ? folder : folder + "/" + *in_use);
    if (!authority) return authority;
    authority->trust_domain_ = std::move(*trust_domain);
    auto& bundle = authority->trust_bundle_;
    bundle = {authority->root_pem_};
    std::vector<std::string> homes{folder};
    for (const std::string& name : imported(folder)) homes.push_back(folder + "/" + name);
    for (const std::string& home : homes) {
        auto root = load_certificate(home + "/root.pem");
        auto pem = root ? certificate_pem(root->get()) : failed(root.error());
        if (!pem) return failed(pem.error());
        if (std::find(bundle.begin(), bundle.end(), *pem) == bundle.end()) bundle.push_back(*pem);
    }
    return authority;
}

Result<IssuedCertificate> Authority::issue(const Leaf& leaf, WallTime now) const {
    if (now >= intermediate_not_after_)
        return fail(Code::Unavailable, "the intermediate certificate has run out");
    CertificateSpec spec = leaf.spec;
    spec.not_before = std::max<WallTime>(now - kBackdate, intermediate_not_before_);
    spec.not_after = std::min<WallTime>(now + leaf.life, intermediate_not_after_);
    auto certificate = make_certificate(spec, intermediate_.get(), key_.get());
    if (!certificate) return failed(certificate.error());
    auto pem = certificate_pem(certificate->get());
    auto begins = not_before(certificate->get());
    auto ends = not_after(certificate->get());
    if (!pem || !begins || !ends) return fail(Code::Internal, "unreadable certificate");
    return IssuedCertificate{*pem + intermediate_pem_ + root_pem_, serial_hex(certificate->get()),
                             *begins, *ends};
}

Result<IssuedCertificate> Authority::issue_node(const Csr& csr, const NodeSubject& node,
                                                WallTime now) const {
    if (!is_uuid(node.tenant_id) || !is_uuid(node.node_id))
        return fail(Code::Invalid, "certificate: ids must be UUIDs");
    Leaf leaf{node_profile(trust_domain_, node), kNodeCertificateLife};
    leaf.spec.subject_spki = csr.spki();
    return issue(leaf, now);
}

// Without the O and the DNS name of a node: by those gateways and charon know a peer.
Result<IssuedCertificate> Authority::issue_account(const Csr& csr, const AccountSubject& account,
                                                   const Validity& validity) const {
    const bool is_above = account.tenant_id.empty();
    if (!is_uuid(account.account_id) || (!is_above && !is_uuid(account.tenant_id)))
        return fail(Code::Invalid, "certificate: ids must be UUIDs");
    Leaf leaf{leaf_profile(), validity.life};
    leaf.spec.subject_spki = csr.spki();
    leaf.spec.common_name = account.account_id;
    leaf.spec.uris = {fmt::format("{}{}{}/account/{}", kSpiffe, trust_domain_,
                                  is_above ? "" : "/tenant/" + account.tenant_id,
                                  account.account_id)};
    leaf.spec.extended_key_usage = "clientAuth";
    return issue(leaf, validity.from);
}

Result<IssuedCertificate> Authority::issue_server(const TlsKey& key,
                                                  const std::vector<std::string>& names,
                                                  WallTime now) const {
    auto profile = server_profile(names);
    if (!profile) return failed(profile.error());
    Leaf leaf{std::move(*profile), kServerCertificateLife};
    leaf.spec.subject_key = key.get();
    return issue(leaf, now);
}

}  // namespace cvlan::pki
