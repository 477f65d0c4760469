// SPDX-License-Identifier: Apache-2.0
#pragma once

// Forms of rows that several files of the SQLite store read and write.

#include <string>
#include <vector>

#include "model/objects.h"
#include "store/sqlite.h"

namespace cvlan::store {

inline constexpr const char* kMembershipColumns =
    "m.network_id, m.node_id, m.wireguard_key, m.ipv4, m.ipv6, m.listen_port, m.endpoints, "
    "m.revision";
model::Membership membership_row(const Statement& row, int first_column);

std::string endpoints_text(const std::vector<Endpoint>& endpoints);
std::vector<std::string> split_words(const std::string& text);
std::string wireguard_key_hash(const std::string& key);

}  // namespace cvlan::store
