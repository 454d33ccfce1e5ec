# SPDX-License-Identifier: GPL-2.0
#
# The tables of scripts/bench/report, from "KERNEL RUN case value" lines, and
# from the files count and bench of tools/testing/pid: "case ours base ratio".

{
	if (!(($1, $3) in n) || $4 < low[$1, $3]) low[$1, $3] = $4
	if (!(($1, $3) in n) || $4 > high[$1, $3]) high[$1, $3] = $4
	sum[$1, $3] += $4
	n[$1, $3]++
}

# A case that one of the boots did not report is none.
function has(kernel, c) { return n[kernel, c] >= (c ~ /^static/ ? 1 : runs) }
function mean(kernel, c) { return has(kernel, c) ? sum[kernel, c] / n[kernel, c] : 0 }
function spread(c,   i, s, most) {
	most = 0
	for (i = 1; i <= 3; i++)
		if (mean(kernel[i], c)) {
			s = (high[kernel[i], c] - low[kernel[i], c]) / mean(kernel[i], c)
			if (s > most) most = s
		}
	return most
}

# grouped: 12,345
function grouped(x,   text, out) {
	text = sprintf("%.0f", x)
	while (length(text) > 3) {
		out = "," substr(text, length(text) - 2) out
		text = substr(text, 1, length(text) - 3)
	}
	return text out
}
function figure(k, c) { return has(k, c) ? grouped(mean(k, c)) : "" }
# ratio: of patched to another kernel, 0 if there is none
function ratio(k, c) { return has(k, c) && mean(k, c) ? mean("patched", c) / mean(k, c) : 0 }
function shown(r) { return r ? sprintf("%.2f", r) : "" }

function row(c, what) {
	if (!has("patched", c)) return
	printf "| %s | %s | %s | %s | %s | %s | %.1f %% |\n", what, figure("patched", c), figure("stock", c),
		figure("7.3", c), shown(ratio("stock", c)), shown(ratio("7.3", c)), 100 * spread(c)
}
function head(what) {
	printf "\n| %s | patched | 6.12 | 7.3 | to 6.12 | to 7.3 | spread |\n|---|---|---|---|---|---|---|\n", what
}

# worst: the largest ratio to a kernel over cases FORMAT with each of the levels;
# 0 if one of them is missing.
function worst(k, formats, levels,   f, l, i, j, nf, nl, r, most) {
	most = 0
	nf = split(formats, f, " ")
	nl = split(levels, l, " ")
	for (i = 1; i <= nf; i++)
		for (j = 1; j <= nl; j++) {
			r = ratio(k, f[i] "/" l[j])
			if (!r) return 0
			if (r > most) most = r
		}
	return most
}
# The same of the native cases, with live PIDs of these kinds.
function worst_native(request, levels, live,   l, v, i, j, nl, nv, c, most) {
	most = 0
	nl = split(levels, l, " ")
	nv = split(live, v, " ")
	for (i = 1; i <= nl; i++)
		for (j = 1; j <= nv; j++) {
			c = "alloc/" request "/" l[i] "/" v[j]
			# More than one only at levels 0 and 4.
			if (v[j] != "1" && l[i] != "0" && l[i] != "4") continue
			if (!native_ratio[c]) return 0
			if (native_ratio[c] > most) most = native_ratio[c]
		}
	return most
}
# worst_refused: innermost, next to it or outermost PID taken
function worst_refused(levels,   r, most, kind, i) {
	most = 0
	split("inner-busy second-busy outer-busy", kind, " ")
	for (i = 1; i <= 3; i++)
		if ((r = worst_native(kind[i], levels, "1")) > most) most = r
	return most
}
# worst_all: clone3 with all PIDs to plain clone3, of the patched kernel
function worst_all(   l, j, r, most) {
	for (j = split(all_levels, l, " "); j; j--) {
		if (!mean("patched", "clone3/plain/" l[j]) || !has("patched", "clone3/all/" l[j])) return 0
		r = mean("patched", "clone3/all/" l[j]) / mean("patched", "clone3/plain/" l[j])
		if (r > most) most = r
	}
	return most
}

# target: VALUE as it is printed, and whether it is within the limit; 0: there is none
function target(what, where, limit, value, digits) {
	printf "| %s | %s | <= %s | %s | %s |\n", what, where, limit,
		value ? sprintf("%." digits "f", value) : "",
		!value ? "not measured" : value <= limit ? "met" : "**not met**"
}

# read_native: a table of tools/testing/pid into arrays, its lines into order
function read_native(file, ours, base, order,   line, f, i) {
	i = 0
	while ((getline line <file) > 0)
		if (split(line, f, " ") >= 4 && f[1] ~ "/") {
			order[++i] = f[1]
			ours[f[1]] = f[2]
			base[f[1]] = f[3]
			rest[file, f[1]] = f[5]
		}
	return i
}

END {
	split("patched stock 7.3", kernel, " ")
	all_levels = "0 1 4 16 32"
	any_live = "1 1000 1000s 30000 30000s"
	split(all_levels, level, " ")
	counted = read_native(count, ours, base, count_order)
	for (c in ours) native_ratio[c] = base[c] ? ours[c] / base[c] : 0
	timed = read_native(bench, ours_ns, base_ns, bench_order)

	print "\n## Targets\n"
	print "The worst of the cases that a line is about.\n"
	print "| | to | target | measured | |\n|---|---|---|---|---|"
	target("alloc_pid(), level 0, plain, native", "6.12", 0.70, worst_native("plain", "0", any_live), 2)
	target("alloc_pid(), level 0, plain, guest", "6.12", 0.70, worst("stock", "alloc/plain", "0"), 2)
	target("", "7.3", 0.45, worst("7.3", "alloc/plain", "0"), 2)
	target("alloc_pid(), level 1 and deeper, plain, native", "6.12", 0.55, worst_native("plain", "1 4 16 32", any_live), 2)
	target("alloc_pid(), level 1 and deeper, plain, guest", "6.12", 0.55, worst("stock", "alloc/plain", "1 4 16 32"), 2)
	target("", "7.3", 0.45, worst("7.3", "alloc/plain", "1 4 16 32"), 2)
	target("alloc_pid(), all levels requested, level 4 and deeper, native", "6.12", 0.45, worst_native("all", "4 16 32", "1 1000 30000"), 2)
	target("the same, each PID with a new node in each IDR", "6.12", 0.45, worst_native("all", "4", "1000s 30000s"), 2)
	target("alloc_pid(), all levels requested, level 4 and deeper, guest", "6.12", 0.45, worst("stock", "alloc/all", "4 16 32"), 2)
	target("", "7.3", 0.45, worst("7.3", "alloc/all", "4 16 32"), 2)
	target("a request whose PID is taken, up to level 16, native", "6.12", "2.00", worst_refused("0 1 4 16"), 2)
	target("the same, level 32, native", "6.12", "2.60", worst_refused("32"), 2)
	whole = "fork/plain thread/plain clone3/plain clone3/one clone3/all"
	target("whole fork(), thread, clone3(), any level", "6.12", "1.00", worst("stock", whole, all_levels), 3)
	target("", "7.3", 0.95, worst("7.3", whole, all_levels), 3)
	target("clone3() with all PIDs, to plain clone3()", "patched", 1.01, worst_all(), 3)
	for (l = 1; l <= 5; l++) {
		c = "threads/plain/" level[l] "/1_x2"
		r = ours_ns[c] ? base_ns[c] / ours_ns[c] : 0
		printf "| two threads at once, level %s, native: calls a second | 6.12 | >= 1.5 | %s | %s |\n",
			level[l], (r ? sprintf("%.2f (spread of ours: %s)", r, rest[bench, c]) : ""),
			(!r ? "not measured" : r >= 1.5 ? "met" : "**not met**")
	}
	while ((getline line <hold) > 0) {
		split(line, f, "\t")
		if (f[3])
			target("longest hold of pidmap_lock, " f[1] ", native", "6.12", f[3], f[2], 2)
	}
	printf "| lock acquisitions a successful claim, at each level from 0 to 32 | | 1 | %s | %s |\n",
		mean("patched", "static/one_lock") ? 1 : "",
		mean("patched", "static/one_lock") ? "met (`row15_claim_takes_the_lock_once`)" : "**not met**"
	target("sizeof(struct pid), bytes", "6.12", mean("stock", "static/pid_bytes"), mean("patched", "static/pid_bytes"), 0)
	target("stack of the clone3() path, bytes", "6.12", mean("stock", "static/stack_bytes"), mean("patched", "static/stack_bytes"), 0)
	if (has("patched", "static/code_bytes")) {
		more = mean("patched", "static/code_bytes") - mean("stock", "static/code_bytes")
		printf "| code, bytes more than 6.12 (bloat-o-meter) | 6.12 | <= 1024 | %d | %s |\n",
			more, (more <= 1024 ? "met" : "**not met**")
	} else {
		target("code, bytes more than 6.12 (bloat-o-meter)", "6.12", 1024, 0, 0)
	}

	print "\n## alloc_pid() in the guest"
	head("instructions a call")
	split("plain one all", request, " ")
	for (r = 1; r <= 3; r++)
		for (l = 1; l <= 5; l++)
			row("alloc/" request[r] "/" level[l], request[r] ", level " level[l])
	print "\n6.12 and 7.3 take 32 PIDs at most: at level 32 their \"all\" is one less than the levels there are."

	print "\n## Creating a process or a thread"
	head("instructions a call")
	m = split(whole, f, " ")
	for (i = 1; i <= m; i++)
		for (l = 1; l <= 5; l++) {
			what = f[i]
			sub("/plain", "", what)
			sub("/", ", ", what)
			row(f[i] "/" level[l], what ", level " level[l])
		}

	print "\n## Restore: 2,000 live processes get back the PIDs they had, while another process forks"
	head("")
	split("set_tid last_pid last_pid_retry", method, " ")
	name["set_tid"] = "set_tid"
	name["last_pid"] = "ns_last_pid"
	name["last_pid_retry"] = "ns_last_pid, again until right"
	for (i = 1; i <= 3; i++) {
		row("restore/" method[i] "/ns", name[method[i]] ": time, ns")
		row("restore/" method[i] "/calls", name[method[i]] ": system calls")
		row("restore/" method[i] "/wrong", name[method[i]] ": wrong PIDs")
	}

	if (counted) {
		print "\n## alloc_pid() and free_pid(), native, counted\n"
		print "call/request/level/live PIDs; s: scattered, no two in one node of the IDR.\n"
		print "| instructions a call | ours | 6.12 | ratio |\n|---|---|---|---|"
		for (i = 1; i <= counted; i++) {
			c = count_order[i]
			printf "| %s | %s | %s | %s |\n", c, grouped(ours[c]), grouped(base[c]), shown(native_ratio[c])
		}
	}
	if (timed) {
		print "\n## The same, timed\n"
		print "Medians of five runs; x2: two threads at once. On a busy machine these say little.\n"
		print "| ns a call | ours | 6.12 | ratio | spread |\n|---|---|---|---|---|"
		for (i = 1; i <= timed; i++) {
			c = bench_order[i]
			printf "| %s | %s | %s | %s | %s |\n", c, ours_ns[c], base_ns[c],
				shown(base_ns[c] ? ours_ns[c] / base_ns[c] : 0), rest[bench, c]
		}
	}

	print "\n## Size"
	head("bytes")
	row("static/pid_bytes", "sizeof(struct pid), without its levels")
	row("static/stack_bytes", "stack, clone3() to the deepest call of alloc_pid()")
	row("static/code_bytes", "code of vmlinux")
	row("static/data_bytes", "data of vmlinux")
}
