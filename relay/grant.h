// SPDX-License-Identifier: Apache-2.0
#pragma once

// What a relay believes of a node: a grant that its tenant's map key has signed, shown in a TLS
// session whose certificate is that node's. Pure.

#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "pki/keys.h"
#include "relay/frame.h"

namespace cvlan::relay {

inline constexpr size_t kMostGrant = 4096;  // bytes of its JSON

// A node for which nothing is forwarded any more, although its grants may be in time.
struct Barred {
    std::string node_id;
    std::string network_id{};  // empty: in all
    WallTime until{};          // then no grant of it is left
};

// What the map of a tenant's relay says.
struct TenantTrust {
    std::string tenant_id;
    std::string trust_domain;
    std::string server_name;  // the relay's own in this tenant
    std::vector<pki::VerifyKey> map_keys;
    std::vector<Barred> barred{};

    bool is_barred(std::string_view node_id, std::string_view network_id, WallTime now) const;
    bool is_barred(std::string_view node_id, WallTime now) const {
        return is_barred(node_id, "", now);
    }
};

struct Grant {
    std::string network_id;
    Key key;
    WallTime expires_at{};
};

// `json` is wire::SignedBytes. Denied: another's, unsigned, out of time, or barred; Malformed.
Result<Grant> verify_grant(std::string_view json, const TenantTrust& trust,
                           std::string_view node_id, WallTime now);

}  // namespace cvlan::relay
