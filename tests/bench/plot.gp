# SPDX-License-Identifier: Apache-2.0
#
# plot.gp: gnuplot -c plot.gp plot.dat plot.svg
#
# plot.dat has a line for each scenario: its name, then seven columns for each
# contender (threads, threads by command, Stator).

contenders = "'threads' 'threads by command' 'Stator'"
colours = "#9aa5b1 #4a7fb5 #e07a1f"
column_of(contender, i) = 2 + 7 * (contender - 1) + i   # i from 0

set terminal svg size 1280,860 dynamic font "sans-serif,12" \
    background "#ffffff"
set output ARG2
set datafile missing "?"
set style data histograms
set style histogram clustered gap 1
set style fill solid 1.0 border rgb "#3e4c59"
set boxwidth 0.95
set grid ytics lt 1 lc rgb "#e4e7eb"
set border 3 lc rgb "#52606d"
set tics nomirror out
set xtics scale 0 font ",9" noenhanced
set key noautotitle
set yrange [0:*]

set multiplot layout 2,2 margins 0.04,0.99,0.08,0.86 spacing 0.05,0.16 \
    title "Stator beside plain driver threads, on the wire server\n" \
    font ",16"

set key at screen 0.5,0.935 center horizontal reverse Left samplen 1.5 \
    maxrows 1
set title "Operations a second, multiple of threads (median; least, most)"
set yrange [0:2]   # a cold processor can make a round's ratio any number
set style histogram errorbars gap 1 lw 1.2
plot for [c = 1:3] ARG1 using (column(column_of(c, 0))): \
    (column(column_of(c, 1))):(column(column_of(c, 2))):xtic(1) \
    linecolor rgb word(colours, c) title word(contenders, c)
unset key
set style histogram clustered gap 1

set yrange [0:*]
set title "CPU of one operation, the client's part, microseconds"
plot for [c = 1:3] ARG1 using (column(column_of(c, 3))):xtic(1) \
    linecolor rgb word(colours, c)

set title "Voluntary context switches of one operation"
plot for [c = 1:3] ARG1 using (column(column_of(c, 4))):xtic(1) \
    linecolor rgb word(colours, c)

# Only where one is in flight: elsewhere it is the queue that takes the time.
single = sprintf("< grep '^.single' '%s'", ARG1)
value_of(c, i) = column(column_of(c, 5 + i))
if (int(system(sprintf("grep -c '^.single' '%s' || true", ARG1))) > 0) {
    set title "Latency with one operation in flight, microseconds"
    plot newhistogram "median" offset 0,-1.5, \
        for [c = 1:3] single using (value_of(c, 0)):xtic(1) \
        linecolor rgb word(colours, c), \
        newhistogram "99th percentile" offset 0,-1.5, \
        for [c = 1:3] single using (value_of(c, 1)):xtic(1) \
        linecolor rgb word(colours, c)
}
unset multiplot
