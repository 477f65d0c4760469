// SPDX-License-Identifier: Apache-2.0
#pragma once

// What the certificates say that an authority signs for nodes and servers; their key and times are
// put in by whoever signs. Only pki includes it.

#include <string>
#include <vector>

#include "pki/authority.h"
#include "pki/issue.h"

namespace cvlan::pki {

inline constexpr std::string_view kSpiffe = "spiffe://";

bool is_host_name(std::string_view name);
// The trust domain stands in our own root's one URI.
Result<std::string> trust_domain_of(const X509* root);

CertificateSpec leaf_profile();
CertificateSpec node_profile(const std::string& trust_domain, const NodeSubject& node);
// Host names and addresses, of which there must be one.
Result<CertificateSpec> server_profile(const std::vector<std::string>& names);

}  // namespace cvlan::pki
