// SPDX-License-Identifier: Apache-2.0
#pragma once

// What `apply` and `diff` are given: documents of YAML or JSON, each the wish for one object, held
// against the table of resources. Faults carry file, document, line and field, and all are told.

#include <iosfwd>
#include <string>
#include <vector>

#include "api/client/resources.h"
#include "api/client/value.h"
#include "base/result.h"

namespace cvlan::cli {

// One field of a document that can be written. Its value has the field's type; references are names
// or ids as they were written; null asks for no value.
struct Given {
    const client::Field* create = nullptr;  // as the request of each kind has it, or nullptr
    const client::Field* update = nullptr;
    const client::Field* shown = nullptr;
    client::Value value;
    int line = 0;

    const client::Field& field() const { return update ? *update : *create; }
    // As people write it: "network" rather than "networkId".
    std::string_view name() const { return client::display_name(field()); }
};

struct Manifest {
    std::string file;
    size_t document = 0;  // from 1
    int line = 0;
    const client::Resource* resource = nullptr;
    std::string tenant;  // name or id; empty where the document does not say
    std::string key;     // its name; of what has none the id; empty of what a tenant has one of
    std::vector<Given> fields;

    std::string at(int line_of_fault) const;  // "net.yaml: document 2, line 7"
};

struct Manifests {
    std::vector<Manifest> all;
    std::vector<std::string> faults;
};

// One plain value, as it stands in a file or on a command line.
Result<client::Value> read_plain(const client::Field& field, const std::string& text);

// Files, folders (their *.yaml, *.yml and *.json, in the order of their names) and "-", which is
// `in`. The Error is of what can not be read at all; text that is wrong is a fault.
Result<Manifests> read_manifests(const std::vector<std::string>& paths, std::istream& in);

}  // namespace cvlan::cli
