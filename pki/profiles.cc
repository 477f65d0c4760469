// SPDX-License-Identifier: Apache-2.0
#include "pki/profiles.h"

namespace cvlan::pki {

bool is_host_name(std::string_view name) {
    if (name.size() > 253) return false;
    while (true) {
        const size_t dot = name.find('.');
        if (!model::check_name("name", name.substr(0, dot))) return false;
        if (dot == std::string_view::npos) return true;
        name.remove_prefix(dot + 1);
    }
}

Result<std::string> trust_domain_of(const X509* root) {
    const std::vector<std::string> uris = uri_names(root);
    if (uris.size() != 1 || !uris.front().starts_with(kSpiffe))
        return fail(Code::Malformed, "names no trust domain");
    return uris.front().substr(kSpiffe.size());
}

CertificateSpec leaf_profile() {
    CertificateSpec spec;
    spec.basic_constraints = "critical,CA:FALSE";
    spec.key_usage = "critical,digitalSignature";
    return spec;
}

CertificateSpec node_profile(const std::string& trust_domain, const NodeSubject& node) {
    CertificateSpec spec = leaf_profile();
    spec.organization = node.tenant_id;
    spec.common_name = node.node_id;
    spec.uris = {
        fmt::format("{}{}/tenant/{}/node/{}", kSpiffe, trust_domain, node.tenant_id, node.node_id)};
    spec.dns_names = {fmt::format("{}.{}.{}", node.node_id, node.tenant_id, trust_domain)};
    spec.extended_key_usage =
        node.role == model::TokenRole::Node ? "clientAuth" : "clientAuth,serverAuth";
    return spec;
}

Result<CertificateSpec> server_profile(const std::vector<std::string>& names) {
    CertificateSpec spec = leaf_profile();
    spec.common_name = "cvlan-controller";
    spec.extended_key_usage = "serverAuth";
    for (const std::string& name : names) {
        if (auto address = Address::parse(name))
            spec.addresses.push_back(*address);
        else if (is_host_name(name))
            spec.dns_names.push_back(name);
        else
            return fail(Code::Invalid, "'{}' is neither an address nor a host name",
                        printable(name));
    }
    if (names.empty()) return fail(Code::Invalid, "a server certificate needs a name");
    return spec;
}

}  // namespace cvlan::pki
