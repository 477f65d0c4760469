// SPDX-License-Identifier: Apache-2.0
#include "api/tagging.h"

#include <algorithm>
#include <iterator>

namespace cvlan::api {

using model::ObjectKind;
using model::Relation;

namespace {

bool holds(const model::Object& object, Relation relation, const std::string& id) {
    const auto found = object.links.find(relation);
    return found != object.links.end() &&
           std::find(found->second.begin(), found->second.end(), id) != found->second.end();
}

Result<bool> owns(store::Store& store, const std::string& user_id, const model::Object& tag) {
    if (holds(tag, Relation::OwnerUser, user_id)) return true;
    const auto groups = tag.links.find(Relation::OwnerGroup);
    if (groups == tag.links.end()) return false;
    for (const std::string& id : groups->second) {
        auto group = store.objects().get(ObjectKind::Group, tag.tenant_id, id);
        if (!group) return failed(group.error());
        if (holds(*group, Relation::MemberUser, user_id)) return true;
    }
    return false;
}

}  // namespace

Result<void> check_may_tag(store::Store& store, const AdminIdentity& who,
                           const std::string& tenant_id, const std::vector<std::string>& tags) {
    if (who.role >= model::TenantRole::Admin) return {};
    constexpr std::string_view kUser = "user:";
    const bool is_user = who.actor.starts_with(kUser);
    for (const std::string& name : tags) {
        auto found = store.objects().list(ObjectKind::Tag, {.tenant = tenant_id, .name = name});
        if (!found) return failed(found.error());
        auto is_own = is_user && !found->items.empty()
                          ? owns(store, who.actor.substr(kUser.size()), found->items.front())
                          : Result<bool>(false);
        if (!is_own) return failed(is_own.error());
        if (!*is_own)
            return fail_as("TAG_NOT_OWNED", Code::Denied,
                           fmt::format("tags: '{}' is not for whoever asks to give", name));
    }
    return {};
}

std::vector<std::string> difference(std::vector<std::string> one, std::vector<std::string> other) {
    std::sort(one.begin(), one.end());
    std::sort(other.begin(), other.end());
    std::vector<std::string> alone;
    std::set_symmetric_difference(one.begin(), one.end(), other.begin(), other.end(),
                                  std::back_inserter(alone));
    return alone;
}

}  // namespace cvlan::api
