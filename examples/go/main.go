// orders serves the open orders over HTTP; "orders worker" ships them, one a second.
package main

import (
	"database/sql"
	"encoding/json"
	"log"
	"net/http"
	"os"
	"time"

	_ "github.com/lib/pq"
)

type order struct {
	ID      int    `json:"id"`
	Item    string `json:"item"`
	Shipped bool   `json:"shipped"`
}

func main() {
	db, err := sql.Open("postgres", os.Getenv("DATABASE_URL"))
	if err != nil {
		log.Fatal(err)
	}
	if len(os.Args) > 1 && os.Args[1] == "worker" {
		work(db)
	}
	http.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { list(db, w, r) })
	log.Fatal(http.ListenAndServe(":8080", nil))
}

func list(db *sql.DB, w http.ResponseWriter, r *http.Request) {
	rows, err := db.QueryContext(r.Context(), "SELECT id, item, shipped_at IS NOT NULL FROM orders ORDER BY id")
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer rows.Close()

	orders := []order{}
	for rows.Next() {
		var o order
		if err := rows.Scan(&o.ID, &o.Item, &o.Shipped); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		orders = append(orders, o)
	}
	if err := rows.Err(); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(orders)
}

func work(db *sql.DB) {
	for ; ; time.Sleep(time.Second) {
		var id int
		err := db.QueryRow(`UPDATE orders SET shipped_at = now() WHERE id =
			(SELECT id FROM orders WHERE shipped_at IS NULL ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)
			RETURNING id`).Scan(&id)
		switch err {
		case nil:
			log.Printf("shipped order %d", id)
		case sql.ErrNoRows:
		default:
			log.Fatal(err)
		}
	}
}
