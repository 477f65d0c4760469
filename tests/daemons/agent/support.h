// SPDX-License-Identifier: Apache-2.0
#pragma once

// What a controller makes for an agent.

#include "daemons/agent/enrolment.h"
#include "daemons/agent/map_store.h"
#include "tests/enrolee/frozen.h"
#include "tests/enrolee/issuer.h"

namespace cvlan::agent::testing {

using enrolee::testing::Frozen;
using enrolee::testing::Issuer;
using enrolee::testing::kNetwork;
using enrolee::testing::kNode;
using enrolee::testing::kNow;
using enrolee::testing::kOther;
using enrolee::testing::kTenant;
using enrolee::testing::MapMaker;
using enrolee::testing::node_id;
using enrolee::testing::wireguard_key;

inline MapStore store_of(const MapMaker& maker, const std::string& folder,
                         const std::string& node = kNode) {
    return MapStore(folder, {kTenant, node}, maker.keys());
}

// An identity that has been enrolled by `issuer`.
inline Identity enrolled_node(const Issuer& issuer, const std::string& url = "https://c:1") {
    auto identity = new_identity(kTenant);
    const std::string text = issuer.token(url);
    if (!prepare(*identity, pki::parse_token(text)->claims, false)) std::abort();
    const auto request = enrol_request(*identity, kNetwork, {text, {}, {}, {}});
    if (!accept(*identity, issuer.enrol(request->csr, url))) std::abort();
    return std::move(*identity);
}

}  // namespace cvlan::agent::testing
