# Writes the six novels of R's janeaustenr package to the current folder, one text file each: hard-wrapped lines are
# joined, so that a paragraph is one line, and paragraphs are separated by blank lines.
# usage: Rscript make.R && gzip --best --no-name *.txt
for (novel in c("emma", "mansfieldpark", "northangerabbey", "persuasion", "prideprejudice", "sensesensibility")) {
  lines <- trimws(enc2utf8(getExportedValue("janeaustenr", novel)))
  paragraphs <- tapply(lines[lines != ""], cumsum(lines == "")[lines != ""], paste, collapse = " ")
  file <- file(paste0(novel, ".txt"), "wb")
  writeLines(paste(paragraphs, collapse = "\n\n"), file, useBytes = TRUE)
  close(file)
}
