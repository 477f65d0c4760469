// SPDX-License-Identifier: Apache-2.0
#include "daemons/sim/news.h"

#include "base/bytes.h"
#include "model/wire.h"

namespace cvlan::sim {

namespace wire = model::wire;

namespace {
constexpr size_t kKept = 256;
constexpr size_t kLargestKept = size_t{64} * 1024;
}  // namespace

Result<std::shared_ptr<const News>> NewsReader::read(const std::string& body) {
    if (const auto known = known_.find(body); known != known_.end()) return known->second;
    auto map = model::decode<wire::NodeMap>(body, model::kDocument);
    if (!map) return failed(map.error());
    auto news = std::make_shared<News>();
    news->since = fmt::format("{}.{}", map->epoch, map->revision);
    news->is_full = map->kind == wire::MapKind::Full;
    if (news->is_full) return news;
    for (const wire::SignedBytes& one : map->fragments) {
        auto fragment = model::decode<wire::MapFragment>(as_text(one.payload), model::kDocument);
        if (!fragment) return failed(fragment.error());
        if (fragment->peer) news->peers.push_back({fragment->id, fragment->peer->endpoints});
    }
    if (body.size() > kLargestKept) return news;
    known_[body] = news;
    order_.push_back(body);
    if (order_.size() > kKept) {
        known_.erase(order_.front());
        order_.pop_front();
    }
    return news;
}

}  // namespace cvlan::sim
