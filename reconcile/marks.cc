// SPDX-License-Identifier: Apache-2.0
#include "reconcile/marks.h"

#include "base/bytes.h"

namespace cvlan::reconcile {

namespace {

constexpr std::string_view kAliasPrefix = "cvlan:";

std::string hash_of(std::string_view network_id) {
    return base32_lower(sha256(as_bytes(network_id))).substr(0, 10);
}
}  // namespace

std::string device_name(std::string_view network_id) { return "cv-" + hash_of(network_id); }

std::string xfrm_device_name(std::string_view network_id) { return "cx-" + hash_of(network_id); }

std::string alias_of(std::string_view network_id) {
    return std::string(kAliasPrefix).append(network_id);
}

std::string network_of_alias(std::string_view alias) {
    if (!alias.starts_with(kAliasPrefix)) return {};
    return std::string(alias.substr(kAliasPrefix.size()));
}

}  // namespace cvlan::reconcile
