// SPDX-License-Identifier: Apache-2.0
#include "api/objects.h"

#include "api/convert.h"
#include "api/respond.h"
#include "base/log.h"

namespace cvlan::api {

namespace wire = model::wire;

namespace {

using model::Object;
using model::ObjectKind;
using model::Relation;

void link(Object& object, Relation relation, const std::optional<std::string>& id) {
    if (id) object.links[relation] = {*id};
}
void link(Object& object, Relation relation, const std::vector<std::string>& ids) {
    if (!ids.empty()) object.links[relation] = ids;
}

// A noun: its types on the wire, and its own fields.
struct Tag {
    static constexpr ObjectKind kKind = ObjectKind::Tag;
    using Shown = wire::Tag;
    using Write = wire::TagWrite;
    static constexpr auto kItems = &wire::TagList::tags;
    static void read(const Write& body, Object& object) {
        link(object, Relation::OwnerUser, body.owner_user_ids);
        link(object, Relation::OwnerGroup, body.owner_group_ids);
    }
};

struct Group {
    static constexpr ObjectKind kKind = ObjectKind::Group;
    using Shown = wire::Group;
    using Write = wire::GroupWrite;
    static constexpr auto kItems = &wire::GroupList::groups;
    static void read(const Write& body, Object& object) {
        link(object, Relation::MemberUser, body.user_ids);
        link(object, Relation::MemberNode, body.node_ids);
    }
};

struct Region {
    static constexpr ObjectKind kKind = ObjectKind::Region;
    using Shown = wire::Region;
    using Write = wire::RegionWrite;
    static constexpr auto kItems = &wire::RegionList::regions;
    static void read(const Write&, Object&) {}
};

struct Relay {
    static constexpr ObjectKind kKind = ObjectKind::Relay;
    using Shown = wire::Relay;
    using Write = wire::RelayWrite;
    static constexpr auto kItems = &wire::RelayList::relays;
    static void read(const Write& body, Object& object) {
        link(object, Relation::Region, body.region_id);
        link(object, Relation::Node, body.node_id);
        object.endpoints = body.endpoints;
        object.stun_port = static_cast<uint16_t>(body.stun_port.value_or(model::kStunPort));
    }
};

struct Vrouter {
    static constexpr ObjectKind kKind = ObjectKind::Vrouter;
    using Shown = wire::Vrouter;
    using Write = wire::VrouterWrite;
    static constexpr auto kItems = &wire::VrouterList::vrouters;
    static void read(const Write& body, Object& object) {
        link(object, Relation::Region, body.region_id);
        link(object, Relation::Node, body.node_id);
        link(object, Relation::Network, body.network_ids);
        object.routes = body.routes;
    }
};

template <class Noun>
Object read_object(const std::string& tenant_id, const typename Noun::Write& body) {
    Object object{tenant_id, {}, Noun::kKind, body.name, body.description.value_or("")};
    Noun::read(body, object);
    return object;
}

template <class Noun>
typename Noun::Shown show(const Object& object) {
    return model::to_wire<typename Noun::Shown>(object);
}

template <class Noun>
Result<Object> find(const Call& call, const AdminIdentity& who) {
    auto scope = scope_of(who, call.query);
    if (!scope) return failed(scope.error());
    return call.store.objects().get(Noun::kKind, *scope, call.id);
}

void note(const Call& call, const Object& object, const char* change) {
    if (call.validate_only) return;
    log::info("api.object_changed", {{"tenant", object.tenant_id},
                                     {"object", object.id},
                                     {"name", object.name},
                                     {"change", change}});
}

template <class Noun>
http::Response list_objects(Context&, const Call& call, const AdminIdentity& who) {
    auto filter = read_filter(call.query, who);
    if (!filter) return error_response(filter.error(), call.request.request_id);
    return page_response(call, call.store.objects().list(Noun::kKind, *filter), Noun::kItems,
                         show<Noun>);
}

template <class Noun>
http::Response create_object(Context&, const Call& call, const AdminIdentity& who) {
    auto body = model::decode<typename Noun::Write>(call.request.body);
    if (!body) return error_response(body.error(), call.request.request_id);
    auto tenant_id = read_tenant(who, body->tenant_id);
    if (!tenant_id) return error_response(tenant_id.error(), call.request.request_id);
    auto made = call.store.objects().create(read_object<Noun>(*tenant_id, *body));
    if (made) note(call, *made, "create");
    return object_response(call, 201, made, show<Noun>);
}

template <class Noun>
http::Response get_object(Context&, const Call& call, const AdminIdentity& who) {
    return object_response(call, 200, find<Noun>(call, who), show<Noun>);
}

template <class Noun>
http::Response update_object(Context&, const Call& call, const AdminIdentity& who) {
    auto body = model::decode<typename Noun::Write>(call.request.body);
    if (!body) return error_response(body.error(), call.request.request_id);
    auto old = find<Noun>(call, who);
    if (!old) return error_response(old.error(), call.request.request_id);
    if (auto same = check_same_tenant(body->tenant_id, old->tenant_id); !same)
        return error_response(same.error(), call.request.request_id);
    Object wanted = read_object<Noun>(old->tenant_id, *body);
    wanted.id = old->id;
    auto changed = call.store.objects().update(wanted);
    if (changed) note(call, *changed, "update");
    return object_response(call, 200, changed, show<Noun>);
}

template <class Noun>
http::Response delete_object(Context&, const Call& call, const AdminIdentity& who) {
    auto old = find<Noun>(call, who);
    if (!old) return error_response(old.error(), call.request.request_id);
    auto gone = call.store.objects().remove(Noun::kKind, {old->tenant_id, old->id});
    if (gone) note(call, *old, "delete");
    return gone_response(call, gone);
}

template <class Noun>
constexpr ObjectNoun noun(std::string_view all, std::string_view one) {
    return {all,
            one,
            list_objects<Noun>,
            create_object<Noun>,
            get_object<Noun>,
            update_object<Noun>,
            delete_object<Noun>};
}

}  // namespace

std::span<const ObjectNoun> object_nouns() {
    static constexpr ObjectNoun kNouns[] = {
        noun<Tag>("/api/v1/tags", "/api/v1/tags/{id}"),
        noun<Group>("/api/v1/groups", "/api/v1/groups/{id}"),
        noun<Region>("/api/v1/regions", "/api/v1/regions/{id}"),
        noun<Relay>("/api/v1/relays", "/api/v1/relays/{id}"),
        noun<Vrouter>("/api/v1/vrouters", "/api/v1/vrouters/{id}"),
    };
    return kNouns;
}

}  // namespace cvlan::api
