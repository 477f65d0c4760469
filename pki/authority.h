// SPDX-License-Identifier: Apache-2.0
#pragma once

// The controller's certificate authority: a root that can be kept offline (10 years), and an
// intermediate (1 year) that signs nodes and servers, both P-256 (ADR 0005). Its folder holds
// root.key, root.pem, intermediate.key and intermediate.pem; the trust domain stands in the root
// certificate's URI. A company's own CA may sign the intermediate instead: pki/imported.h. An
// opened Authority does not change: safe to use from any thread.

#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "model/objects.h"
#include "pki/csr.h"
#include "pki/keys.h"

namespace cvlan::pki {

inline constexpr std::chrono::days kNodeCertificateLife{30};
inline constexpr std::chrono::days kServerCertificateLife{90};

struct IssuedCertificate {
    std::string chain_pem;  // leaf, intermediate, root
    std::string serial;     // hex, lower case, 128 random bits
    WallTime not_before{};
    WallTime not_after{};
};

struct Validity {
    WallTime from{};
    std::chrono::seconds life{};
};

struct NodeSubject {
    std::string tenant_id;
    std::string node_id;
    model::TokenRole role = model::TokenRole::Node;  // a vrouter and a relay are servers too
};

struct AccountSubject {
    std::string tenant_id;  // empty: above tenants
    std::string account_id;
};

class Authority {
public:
    // A certificate of an authority is in the folder.
    static bool is_present(const std::string& folder);
    // Makes the root and the intermediate where they are absent; tells whether it made any. A root
    // that is absent beside its intermediate was lost: Code::Conflict.
    static Result<bool> create(const std::string& folder, const std::string& trust_domain,
                               WallTime now);
    // root.key may be absent. A key that others can read is Code::Denied, a key that does not fit
    // its certificate Code::Malformed.
    static Result<Authority> open(const std::string& folder);
    // A fresh intermediate; needs root.key, and is Conflict while a company's is in use.
    // Certificates of the old one stay good for their life.
    static Result<void> renew_intermediate(const std::string& folder, WallTime now);

    // The life of a certificate never reaches beyond its issuer's.
    Result<IssuedCertificate> issue_node(const Csr& csr, const NodeSubject& node,
                                         WallTime now) const;
    // For a person or a program that administers: a client of the API, never a peer of nodes.
    Result<IssuedCertificate> issue_account(const Csr& csr, const AccountSubject& account,
                                            const Validity& validity) const;
    // `names` are host names and addresses.
    Result<IssuedCertificate> issue_server(const TlsKey& key, const std::vector<std::string>& names,
                                           WallTime now) const;

    const std::string& trust_domain() const { return trust_domain_; }
    const std::string& root_pem() const { return root_pem_; }
    const std::string& intermediate_pem() const { return intermediate_pem_; }
    // The root in use comes first.
    const std::vector<std::string>& trust_bundle() const { return trust_bundle_; }
    // SHA-256 of the root's SubjectPublicKeyInfo, as it stands in a token.
    const Bytes& root_spki() const { return root_spki_; }
    WallTime root_not_after() const { return root_not_after_; }
    WallTime intermediate_not_after() const { return intermediate_not_after_; }

private:
    struct Leaf;
    explicit Authority(TlsKey key) : key_(std::move(key)) {}
    static Result<Authority> load(const std::string& folder);
    Result<IssuedCertificate> issue(const Leaf& leaf, WallTime now) const;

    TlsKey key_;
    EvpPtr<X509> intermediate_;
    std::string trust_domain_;
    std::string root_pem_;
    std::string intermediate_pem_;  // and, of a company's, what lies between it and the root
    std::vector<std::string> trust_bundle_;
    Bytes root_spki_;
    WallTime root_not_after_{};
    WallTime intermediate_not_before_{};
    WallTime intermediate_not_after_{};
};

}  // namespace cvlan::pki
