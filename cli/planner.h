// SPDX-License-Identifier: Apache-2.0
#pragma once

// From documents and what the controller has to an ordered plan. Everything is checked before
// anything is changed, by the controller itself (validateOnly) where it can.

#include <map>
#include <set>
#include <tuple>

#include "cli/catalogue.h"
#include "cli/changes.h"

namespace cvlan::cli {

struct ObjectPlan {
    std::vector<Change> changes;  // in the order to do them, with those that change nothing
    std::vector<std::string> faults;

    bool is_empty() const;
};

// Names and ids as they are in this tenant, by what the catalogue has now.
Names names_in(Catalogue& catalogue, const std::string& tenant_id);

// Who asks does not lock themselves out: the account `self` (an id; empty: none) and what it proves
// itself by stay.
struct Prune {
    bool is_wanted = false;
    std::string self{};
};

class Planner {
public:
    // `tenant`, an id or a name, is where documents lie that name none; empty: the only one.
    Planner(Catalogue& catalogue, std::string tenant)
        : catalogue_(catalogue), default_tenant_(std::move(tenant)) {}

    // `manifests` outlives the plan. What is to be pruned is in none of them, of their kinds and in
    // their tenants. The Error is of a controller that does not answer; all else is a fault.
    Result<ObjectPlan> plan(const Manifests& manifests, const Prune& prune);

private:
    using Key = std::tuple<std::string_view, std::string, std::string>;  // kind, tenant, name
    struct Wish {
        const Manifest* manifest = nullptr;
        std::string tenant{}, tenant_id{};
        bool is_placed = false, is_being_placed = false;
    };

    Result<void> collect(const Manifests& manifests);
    Result<void> place_in_tenant(Wish& wish);
    Result<std::string> the_only_tenant();
    Key key_of(const Wish& wish) const;
    void put_in_order(Wish& wish);
    void put_reference_first(const Wish& wish, std::string_view kind, const std::string& name);
    Result<void> plan_one(const Wish& wish);
    Result<bool> references_are_there(const Wish& wish);
    Result<void> look(Change& change, const client::Operation& operation);
    Result<void> plan_create(const Wish& wish, Change change);
    Result<void> plan_update(const Wish& wish, Change change);
    void validate(const Wish& wish, const Change& change);
    Result<void> prune(const std::string& self);
    void fault(const Wish& wish, int line, std::string_view why);

    Catalogue& catalogue_;
    std::string default_tenant_;
    std::vector<Wish> wishes_;
    std::map<Key, Wish*> by_key_;
    std::vector<Wish*> order_;
    ObjectPlan plan_;
};

}  // namespace cvlan::cli
