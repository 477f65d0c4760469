// SPDX-License-Identifier: Apache-2.0
// Bodies of requests and documents: whatever decodes must encode to something that decodes alike.

#include <cstdlib>

#include "model/local.h"
#include "model/network_map.h"
#include "model/relay_map.h"
#include "model/wire.h"

namespace {

using namespace cvlan;

template <class T>
void round_trip(std::string_view text, const model::JsonLimits& limits) {
    const auto first = model::decode<T>(text, limits);
    if (!first) return;
    const std::string once = encode(*first);
    const auto second = model::decode<T>(once, limits);
    if (!second || encode(*second) != once) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(bytes), size);
    round_trip<model::wire::EnrolRequest>(text, model::kRequest);
    round_trip<model::wire::EndpointReport>(text, model::kRequest);
    round_trip<model::wire::HealthReport>(text, model::kRequest);
    round_trip<model::wire::NetworkCreate>(text, model::kRequest);
    round_trip<model::wire::TokenCreate>(text, model::kRequest);
    round_trip<model::wire::NodeMap>(text, model::kDocument);
    round_trip<model::wire::Node>(text, model::kDocument);
    round_trip<model::local::Status>(text, model::kDocument);
    if (const auto fragment = model::decode<model::wire::MapFragment>(text, model::kDocument)) {
        model::wire::MapHead head;
        head.network_ids = {fragment->scope};
        head.node_id = fragment->id;
        head.tenant_id = fragment->scope;
        (void)model::build_map(head, {*fragment}, 1);
        (void)model::build_relay_map(head, {*fragment}, 1);
    }
    return 0;
}
