// SPDX-License-Identifier: Apache-2.0
#pragma once

// How answers are printed. -o json is the API's document as it is, -o yaml the same as YAML; in
// both, characters that could steer a terminal are written as \u escapes. In tables remote text is
// made printable.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/cli.h"

namespace cvlan::cli {

using Row = std::vector<std::string>;

// Prints `json` as JSON or YAML when that is asked for; false when it is not.
bool print_document(const Args& args, Io& io, const std::string& json);
// Columns as wide as their widest cell. An empty header is left out.
void print_table(Io& io, const Row& header, const std::vector<Row>& rows);
// "Name:  value" a line; those with an empty value are left out.
void print_fields(Io& io, const std::vector<std::pair<std::string, std::string>>& fields);

// A created object: one row, its name, or the document.
template <class T>
int print_created(const Args& args, Io& io, const T& object, const Row& row) {
    if (print_document(args, io, encode(object))) return kOk;
    print_table(io, {}, {args.output == Output::Name ? Row{row.front()} : row});
    return kOk;
}

// A list: a table of rows, their first cells, or the document.
template <class T>
int print_list(const Args& args, Io& io, const T& list, const Row& header,
               const std::vector<Row>& rows) {
    if (print_document(args, io, encode(list))) return kOk;
    if (args.output != Output::Name) {
        print_table(io, header, rows);
        return kOk;
    }
    for (const Row& row : rows) print_table(io, {}, {{row.front()}});
    return kOk;
}

// One object: its fields, its name (the first of them), or the document.
template <class T>
int print_object(const Args& args, Io& io, const T& object,
                 const std::vector<std::pair<std::string, std::string>>& fields) {
    if (print_document(args, io, encode(object))) return kOk;
    if (args.output == Output::Name)
        print_table(io, {}, {{fields.front().second}});
    else
        print_fields(io, fields);
    return kOk;
}

std::string join(const std::vector<std::string>& texts, std::string_view between = ", ");
std::string time_text(const std::optional<WallTime>& time);  // "2026-11-20 19:54:00Z", or "-"
std::string span_text(std::chrono::seconds span);            // "42 s", "3 min", "2 h", "5 d"
std::string bytes_text(int64_t bytes);                       // "900 B", "1.2 MiB"
// Escapes C1, DEL and bidi controls as JSON does C0; only strings can hold them.
std::string safe_json(std::string_view json);

}  // namespace cvlan::cli
