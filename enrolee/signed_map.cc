// SPDX-License-Identifier: Apache-2.0
#include "enrolee/signed_map.h"

#include <algorithm>

#include "base/file.h"

namespace cvlan::enrolee {

namespace {

constexpr int kFormat = 1;

std::string map_path(const std::string& folder) { return folder + "/map.json"; }

}  // namespace

SignedMap::SignedMap(std::string folder, MapOwner owner, std::vector<pki::VerifyKey> keys)
    : folder_(std::move(folder)), owner_(std::move(owner)), keys_(std::move(keys)) {}

Result<SignedMap::Loaded> SignedMap::load() {
    auto file = load_state(map_path(folder_), kFormat);
    if (!file) return failed(file.error());
    auto document = model::decode<wire::NodeMap>(file->content, model::kDocument);
    if (!document) return failed(document.error().while_doing(map_path(folder_)));
    auto state = full_of(*document);
    if (!state) return failed(state.error().while_doing(map_path(folder_)));
    adopt(std::move(*state));
    return Loaded{file->used_previous};
}

Result<bool> SignedMap::take(const wire::NodeMap& answer) {
    const bool same_epoch = state_.head && state_.head->epoch == answer.epoch;
    if (state_.head && answer.epoch < state_.head->epoch)
        return fail(Code::Denied, "map of epoch {}, before {}, which is here", answer.epoch,
                    state_.head->epoch);
    if (same_epoch && answer.revision < state_.revision)
        return fail(Code::Denied, "map revision {} is below {}, which is here", answer.revision,
                    state_.revision);
    auto state = answer.kind == wire::MapKind::Full ? full_of(answer) : delta_of(answer);
    if (!state) return failed(state.error());
    const bool is_new = !same_epoch || state->revision != state_.revision ||
                        state->head_bytes.payload != state_.head_bytes.payload;
    adopt(std::move(*state));
    return is_new;
}

Result<void> SignedMap::save() const {
    if (!state_.head) return {};
    wire::NodeMap document;
    document.kind = wire::MapKind::Full;
    document.epoch = state_.head->epoch;
    document.revision = state_.revision;
    document.head = state_.head_bytes;
    for (const auto& [key, fragment] : state_.fragments)
        document.fragments.push_back(fragment.bytes);
    return save_state(map_path(folder_), kFormat, encode(document));
}

Result<void> SignedMap::verify(const wire::SignedBytes& bytes) const {
    const auto key = std::find_if(keys_.begin(), keys_.end(),
                                  [&](const auto& known) { return known.kid() == bytes.kid; });
    if (key == keys_.end())
        return fail(Code::Denied, "map is signed with a key that is not the tenant's");
    if (!key->verify(bytes.payload, bytes.signature))
        return fail(Code::Denied, "map has a bad signature");
    return {};
}

Result<wire::MapHead> SignedMap::read_head(const wire::NodeMap& answer) const {
    if (auto good = verify(*answer.head); !good) return failed(good.error().while_doing("head"));
    auto head = model::decode<wire::MapHead>(as_text(answer.head->payload), model::kDocument);
    if (!head) return failed(head.error().while_doing("head"));
    if (head->tenant_id != owner_.tenant_id || head->node_id != owner_.node_id)
        return fail(Code::Denied, "map is of another node");
    if (head->epoch != answer.epoch || head->revision > answer.revision)
        return fail(Code::Denied, "map's head does not belong to it");
    if (head->expires_at <= head->issued_at)
        return fail(Code::Malformed, "map's head ends before it begins");
    return head;
}

// A fragment whose signature is bad spoils the answer: someone changed it. One that is well signed
// but says what we do not understand is left out and told.
Result<void> SignedMap::merge(const wire::NodeMap& answer, State& state) const {
    for (const wire::SignedBytes& bytes : answer.fragments) {
        if (auto good = verify(bytes); !good) return good;
        auto content = model::decode<wire::MapFragment>(as_text(bytes.payload), model::kDocument);
        if (!content) {
            state.refused.push_back("a fragment: " + content.error().message);
            continue;
        }
        Key key{content->scope, content->kind, content->id};
        const auto held = state.fragments.find(key);
        if (held != state.fragments.end() && held->second.content.revision > content->revision)
            continue;  // an older word about the same object
        if (content->removed.value_or(false))
            state.fragments.erase(key);
        else
            state.fragments.insert_or_assign(std::move(key), Fragment{bytes, std::move(*content)});
    }
    return {};
}

Result<SignedMap::State> SignedMap::full_of(const wire::NodeMap& answer) const {
    if (!answer.head) return fail(Code::Malformed, "a full map without a head");
    auto head = read_head(answer);
    if (!head) return failed(head.error());
    State state;
    state.head = std::move(*head);
    state.head_bytes = *answer.head;
    state.revision = answer.revision;
    if (auto merged = merge(answer, state); !merged) return failed(merged.error());
    return state;
}

Result<SignedMap::State> SignedMap::delta_of(const wire::NodeMap& answer) const {
    if (!state_.head || state_.head->epoch != answer.epoch)
        return fail(Code::Conflict, "a delta to a map that is not here");
    State state = state_;
    state.revision = answer.revision;
    state.refused.clear();
    if (answer.head) {
        auto head = read_head(answer);
        if (!head) return failed(head.error());
        if (head->issued_at < state.head->issued_at)
            return fail(Code::Denied, "map's head is older than the one which is here");
        state.head = std::move(*head);
        state.head_bytes = *answer.head;
    }
    if (auto merged = merge(answer, state); !merged) return failed(merged.error());
    return state;
}

void SignedMap::adopt(State state) {
    since_ = fmt::format("{}.{}", state.head->epoch, state.revision);
    state_ = std::move(state);
}

std::vector<wire::MapFragment> SignedMap::fragments() const {
    std::vector<wire::MapFragment> contents;
    contents.reserve(state_.fragments.size());
    for (const auto& [key, fragment] : state_.fragments) contents.push_back(fragment.content);
    return contents;
}

}  // namespace cvlan::enrolee
